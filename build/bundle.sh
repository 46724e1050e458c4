# Sourced by lab: packs the kit for machines that have neither the .NET SDK nor this repository.

most_bundle_bytes=60000000

# The bundle holds the .NET runtime, the kit and the sources of the bridge and of the integer kernels, which are compiled
# where the bundle is unpacked, against the libtorch or PyTorch and the oneDNN found there.
make_bundle() {
  ensure_set_up
  local name folder archive size
  name="regcache-lab-linux-x64"
  folder="$artifacts/bundle/$name"
  archive="$artifacts/bundle/$name.tar.gz"
  rm -rf "$artifacts/bundle"
  mkdir -p "$folder/native" "$logs"

  say "Publishing (log: artifacts/logs/bundle.log) ..."
  # Compiled ahead of time where the registry has the compiler for that (NU11xx: it has not); it only saves start-up time.
  publish "$folder/app" -p:PublishReadyToRun=true || { grep -q 'NU11' "$logs/bundle.log" && publish "$folder/app"; } || {
    tail -n 20 "$logs/bundle.log" >&2
    fail "the bundle could not be published."
  }
  rm -f "$folder/app/libTorchSharpBridge.so" "$folder/app/libRegCacheInt8.so" "$folder/app/"*.pdb

  cp "$root/standins/TorchSharp/native/"{bridge.cpp,build.sh} "$folder/native/"
  mkdir -p "$folder/native/int8"
  cp "$root/RegCache.Lab/Quantization/Native/"* "$folder/native/int8/"
  cp "$root/build/environment.sh" "$root/build/bundle/"{install.sh,regcache,README.txt} "$folder/"

  tar -C "$artifacts/bundle" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -9 >"$archive"
  size="$(stat -c %s "$archive")"
  ((size <= most_bundle_bytes)) || fail "the bundle is $((size / 1000000)) MB, more than $((most_bundle_bytes / 1000000)) MB."
  echo "artifacts/bundle/$name.tar.gz: $((size / 1000000)).$((size / 100000 % 10)) MB packed; unpack it, then run install.sh in it."
}

# publish FOLDER OPTIONS...: in folders of its own, so that the builds of `lab build` stay up to date.
publish() {
  local folder="$1"
  shift
  dotnet publish "$cli_project" -c Release -r linux-x64 --self-contained --nologo -v quiet -p:PackageStack=standins \
    --artifacts-path "$artifacts/bundle-build" -o "$folder" "$@" >"$logs/bundle.log" 2>&1
}
