# Sourced by lab: publishes the library for notebooks, runs them, opens Jupyter.

library_folder="$artifacts/lab"
library_build="$root/RegCache.Lab.Notebooks/bin/Release/net10.0"

# What the first line of every notebook refers to: the library and all that it needs. The assemblies of .NET Interactive and the compiler are left out;
# a kernel has its own.
publish_library() {
  ensure_built cli
  [[ -f "$library_folder/published" && -z "$(find "$library_build" -newer "$library_folder/published" -print -quit)" ]] && return
  local fresh="$library_folder.$$"
  rm -rf "$fresh"
  dotnet publish "$root/RegCache.Lab.Notebooks" -c Release --no-build --nologo -v quiet -o "$fresh" >"$logs/publish.log" 2>&1 || {
    tail -n 20 "$logs/publish.log" >&2
    rm -rf "$fresh"
    fail "the library could not be published (log: artifacts/logs/publish.log)."
  }
  rm -f "$fresh/"{Microsoft.DotNet.Interactive,Microsoft.CodeAnalysis,FSharp.Compiler,FSharp.DependencyManager}*
  touch "$fresh/published"
  rm -rf "$library_folder"
  mv "$fresh" "$library_folder"
}

# run_notebooks [--update] [FILE...] [OPTION...]: --update writes the outputs into the notebooks of the repository.
run_notebooks() {
  local update=false files=() options=()
  while (($#)); do
    case "$1" in
      --update) update=true ;;
      -*) break ;;
      *) files+=("$1") ;;
    esac
    shift
  done
  options=("$@")
  ((${#files[@]})) || files=("$root"/notebooks/*.ipynb)
  publish_library
  if [[ "$update" == true ]]; then
    exec "$cli" notebook run "${files[@]}" --pictures "${options[@]}"
  fi
  exec "$cli" notebook run "${files[@]}" --out "$artifacts/notebooks" --html "${options[@]}"
}

# open_jupyter [OPTION...]: further words go to Jupyter.
open_jupyter() {
  publish_library
  command -v jupyter-lab >/dev/null || command -v jupyter-notebook >/dev/null || offer_jupyter
  "$cli" notebook install
  local words=(notebook)
  if command -v jupyter-lab >/dev/null; then words=(lab); fi
  words+=(--ip=127.0.0.1 --notebook-dir="$root")
  if [[ "$(id -u)" == 0 ]]; then words+=(--allow-root); fi
  # By the environment, for words of a command line can be read by everybody on the machine.
  export JUPYTER_TOKEN="${JUPYTER_TOKEN:-$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')}"
  exec jupyter "${words[@]}" "$@"
}

offer_jupyter() {
  local answer=""
  if [[ -t 0 ]]; then
    read -r -p "There is no Jupyter here. Install Debian's jupyter-notebook? [Y/n] " answer
    [[ "$answer" =~ ^([Yy].*)?$ ]] || fail "without Jupyter: install jupyterlab or jupyter-notebook, or run notebooks with ./lab notebooks."
  else
    say "There is no Jupyter here; installing Debian's jupyter-notebook ..."
  fi
  mkdir -p "$logs"
  apt_install jupyter-notebook >"$logs/apt.log" 2>&1 || {
    tail -n 5 "$logs/apt.log" >&2
    fail "jupyter-notebook could not be installed (log: artifacts/logs/apt.log): install it, or jupyterlab, yourself."
  }
}
