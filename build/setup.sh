# Sourced by lab: installs the Debian packages that are missing and chooses the package stack.

stack_file="$root/stack.props"
setup_key_file="$artifacts/setup.key"
registry_patience=60
restore_patience=900

# setup [--stack registry|standins] [--cuda]
setup() {
  local wanted="" cuda=false
  while (($#)); do
    case "$1" in
      --stack)
        wanted="${2:-}"
        [[ "$wanted" == registry || "$wanted" == standins ]] || fail "--stack must be registry or standins."
        shift 2
        ;;
      --cuda) cuda=true && shift ;;
      *) fail "./lab setup knows --stack registry|standins and --cuda, not '$1'." ;;
    esac
  done

  require_sdk
  mkdir -p "$logs"
  if [[ -z "$wanted" && "$cuda" == false ]] && is_set_up; then
    say "Package stack: $(chosen_stack) (as chosen before; ./lab clean forgets it)."
    install_packages
    return
  fi
  choose_stack "$wanted" "$cuda"
  install_packages
  setup_key >"$setup_key_file"
}

# What every other verb calls: nothing to do in milliseconds.
ensure_set_up() {
  is_set_up || setup
}

is_set_up() {
  [[ -f "$stack_file" && -f "$setup_key_file" && "$(<"$setup_key_file")" == "$(setup_key)" ]]
}

# Set-up holds for as long as nothing that it depends on changes.
setup_key() {
  {
    cat "$root/Directory.Packages.props" "$root/PackageStack.props" "$root/build/setup.sh"
    echo "${LIBTORCH:-}"
  } | sha256sum | cut -d' ' -f1
}

chosen_stack() {
  sed -n 's|.*<PackageStack>\(.*\)</PackageStack>.*|\1|p' "$stack_file"
}

require_sdk() {
  local version
  version="$(dotnet --version 2>/dev/null)" || fail "the .NET 10 SDK is missing: install it and put 'dotnet' on the PATH."
  ((${version%%.*} >= 10)) || fail "the .NET SDK $version is too old: install the .NET 10 SDK."
}

# --- Debian packages -------------------------------------------------------------------------------------------------

needed_packages() {
  printf '%s\n' g++ libdnnl-dev libturbojpeg0-dev libjpeg62-turbo-dev libpng-dev libwebp-dev
  if [[ "$(chosen_stack)" == standins && -z "${LIBTORCH:-}" ]]; then
    # libtorch-dev alone brings the reference BLAS, whose matrix products are some thirty times slower; the OpenMP
    # build of OpenBLAS shares libtorch's threads.
    printf '%s\n' libtorch-dev libopenblas0-openmp
  fi
}

missing_packages() {
  local package
  while read -r package; do
    [[ "$(package_states "$package")" == *" installed "* ]] || echo "$package"
  done < <(needed_packages)
  # The runtime needs some version of ICU; its package carries the version in its name.
  [[ "$(package_states 'libicu[0-9]*')" == *" installed "* ]] || echo libicu
}

package_states() {
  dpkg-query -W -f ' ${db:Status-Status} ' "$1" 2>/dev/null || true
}

install_packages() {
  local missing
  if ! command -v dpkg-query >/dev/null; then
    say "This is no Debian system: please see to it that the equivalents of these are installed: $(needed_packages | paste -sd' ')."
    return
  fi
  missing="$(missing_packages | paste -sd' ')"
  if [[ -z "$missing" ]]; then
    say "Debian packages: all there."
    return
  fi
  say "Debian packages: installing $missing ..."
  apt_install $missing >"$logs/apt.log" 2>&1 || {
    tail -n 5 "$logs/apt.log" >&2
    missing="$(missing_packages | paste -sd' ')"
    fail "these Debian packages are missing and could not be installed (log: artifacts/logs/apt.log): $missing. Run 'apt-get install $missing' as root."
  }
}

apt_install() {
  local names=("$@")
  as_root apt-get update || true
  if [[ " ${names[*]} " == *" libicu "* ]]; then
    names=("${names[@]/#libicu/$(apt-cache pkgnames libicu | grep -E '^libicu[0-9]+$' | sort -V | tail -n 1)}")
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${names[@]}"
}

as_root() {
  if [[ "$(id -u)" == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    # Without a terminal nobody could type a password.
    if [[ -t 0 ]]; then sudo "$@"; else sudo -n "$@"; fi
  else
    echo "neither root nor sudo"
    return 1
  fi
}

# --- Package stack ---------------------------------------------------------------------------------------------------

# choose_stack WANTED CUDA
choose_stack() {
  local stack="$1" reason="you asked for it"
  if [[ -z "$stack" ]]; then
    stack=standins
    say "Package stack: asking the package registry for TorchSharp ..."
    if reason="$(ask_registry)"; then
      stack=registry
      if ! restore_solution "$2"; then
        stack=standins
        reason="the registry has TorchSharp, but restoring everything failed (artifacts/logs/restore.log)"
      fi
    fi
  fi
  write_stack "$stack" "$2"
  say "Package stack: $stack, because $reason."
}

# Succeeds when the registry has the packages; prints why it chose.
ask_registry() {
  local probe="$artifacts/registry-probe" log="$logs/registry.log" status=0
  rm -rf "$probe"
  mkdir -p "$probe"
  cat >"$probe/probe.csproj" <<'XML'
<Project Sdk="Microsoft.NET.Sdk">
  <ItemGroup>
    <PackageReference Include="TorchSharp" />
    <PackageReference Include="SixLabors.ImageSharp" />
  </ItemGroup>
</Project>
XML
  timeout "$registry_patience" dotnet restore "$probe/probe.csproj" -p:NuGetAudit=false --disable-build-servers \
    --packages "$probe/packages" >"$log" 2>&1 </dev/null || status=$?
  rm -rf "$probe"
  case "$status" in
    0) echo "the registry has TorchSharp" && return 0 ;;
    124) echo "the registry did not answer within $registry_patience s" ;;
    *) if grep -q 'NU110[123]' "$log"; then echo "the registry does not have TorchSharp"; else echo "the registry could not be asked (artifacts/logs/registry.log)"; fi ;;
  esac
  return 1
}

restore_solution() {
  timeout "$restore_patience" dotnet restore "$solution" -p:PackageStack=registry -p:Cuda="$1" >"$logs/restore.log" 2>&1 </dev/null
}

# write_stack STACK CUDA: leaves an equal file alone, so that nothing is built again.
write_stack() {
  local partial="$stack_file.$$"
  cat >"$partial" <<XML
<Project>
  <!-- Written by ./lab setup. -->
  <PropertyGroup>
    <PackageStack>$1</PackageStack>
    <Cuda>$2</Cuda>
  </PropertyGroup>
</Project>
XML
  if cmp -s "$partial" "$stack_file"; then rm -f "$partial"; else mv -f "$partial" "$stack_file"; fi
}
