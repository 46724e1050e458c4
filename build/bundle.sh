# Sourced by lab: packs the kit for machines that have neither the .NET SDK nor this repository.

most_bundle_bytes=300000000

# The bundle holds the .NET runtime, the kit, libtorch for processors, ICU, and the sources of the native engine and of what joins processes, which are
# compiled where the bundle is unpacked, against the oneDNN and the MPI found there.
make_bundle() {
  ensure_set_up
  local name folder archive size
  name="regcache-lab-linux-x64"
  folder="$artifacts/bundle/$name"
  archive="$artifacts/bundle/$name.tar.gz"
  rm -rf "$artifacts/bundle"
  mkdir -p "$folder/libtorch/lib" "$folder/icu" "$folder/engine" "$folder/mpi" "$logs"

  say "Publishing (log: artifacts/logs/bundle.log) ..."
  publish "$folder/app" || {
    tail -n 20 "$logs/bundle.log" >&2
    fail "the bundle could not be published."
  }
  rm -f "$folder/app/libRegCacheInt8.so" "$folder/app/libRegCacheMpi.so" "$folder/app/"*.pdb

  # In a folder of its own, so that the launcher can put another libtorch in its place. What else comes with libtorch serves Python and its tests.
  mv "$folder/app/"{libc10.so,libtorch.so,libtorch_cpu.so,libgomp-*} "$folder/libtorch/lib/"
  rm -f "$folder/app/"lib{torch_python,torch_global_deps,torchbind_test,jitbackend_test,backend_with_compiler,nnapi_backend,aoti_custom_ops,shm}.so

  copy_icu "$folder/icu"

  cp "$root/RegCache.Lab/Quantization/Native/"* "$folder/engine/"
  cp "$root/RegCache.Lab/Distributed/Native/"* "$folder/mpi/"
  cp "$root/build/environment.sh" "$root/build/bundle/"{install.sh,regcache,README.txt} "$folder/"
  cp -r "$root/models" "$folder/models"
  cp -r "$root/jobs" "$folder/jobs"

  say "Packing ..."
  tar -C "$artifacts/bundle" --sort=name --owner=0 --group=0 --numeric-owner -cf - "$name" | gzip -6 >"$archive"
  size="$(stat -c %s "$archive")"
  ((size <= most_bundle_bytes)) || fail "the bundle is $((size / 1000000)) MB, more than $((most_bundle_bytes / 1000000)) MB."
  echo "artifacts/bundle/$name.tar.gz: $((size / 1000000)) MB packed; unpack it, then run install.sh in it."
}

# copy_icu FOLDER: this machine's, for machines that have none; .NET would not start there.
copy_icu() {
  local version name
  version="$(icu_libraries | sed -n 's/.*libicuuc\.so\.//p' | sort -V | tail -n 1)"
  [[ -n "$version" ]] || fail "the bundle carries ICU, which this machine lacks: run ./lab setup."
  for name in libicuuc libicui18n libicudata; do
    cp -L "$(icu_libraries | grep "/$name\.so\.$version\$" | head -n 1)" "$1/$name.so.$version"
  done
  cp "/usr/share/doc/libicu$version/copyright" "$1/" 2>/dev/null || true
}

icu_libraries() {
  PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | sed -n 's/.*x86-64.* => \(.*libicu[a-z0-9]*\.so\.[0-9]*\)$/\1/p'
}

# publish FOLDER: by a build of its own, so that the builds of `lab build` stay up to date. The machine where it will run may have an older libstdc++.
publish() {
  dotnet publish "$cli_project" -c Release --self-contained -p:WeakenVersionNeed=always --nologo -v quiet \
    --artifacts-path "$artifacts/bundle-build" -o "$1" >"$logs/bundle.log" 2>&1
}
