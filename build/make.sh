# Sourced by lab: builds what is out of date, and runs the tests.

# What a build is made from, besides the project folders.
build_inputs=(Directory.Build.props Directory.Build.targets Directory.Packages.props .editorconfig build/KeepArgumentsAlive.cs build/WeakenVersionNeed.cs)

build_solution() {
  ensure_set_up
  build "$solution" solution
}

# ensure_built cli|benchmarks: builds only when a source is newer than the last build, and finds that out in milliseconds.
ensure_built() {
  ensure_set_up
  is_fresh solution || is_fresh "$1" || case "$1" in
    cli) build "$cli_project" cli ;;
    benchmarks) build "$benchmarks_project" benchmarks ;;
  esac
}

# build PROJECT STAMP
build() {
  local stamp="$artifacts/build.$2" log="$logs/build.$2.log"
  mkdir -p "$logs"
  touch "$stamp.started"
  say "Building (log: artifacts/logs/build.$2.log) ..."
  dotnet build "$1" -c Release --nologo -v quiet >"$log" 2>&1 || {
    cat "$log" >&2
    fail "the build failed."
  }
  touch -r "$stamp.started" "$stamp.sources"
  rm -f "$stamp.started"
  echo "${Cuda:-}" >"$stamp"
}

# Files count from the time the build began; folders (for deleted files) from its end, for it makes bin and obj in them.
is_fresh() {
  local stamp="$artifacts/build.$1" folders=(RegCache.Lab RegCache.Lab.Cli RegCache.Lab.Notebooks)
  [[ "$1" == cli ]] || folders+=(RegCache.Lab.Benchmarks)
  [[ -f "$stamp" && -f "$stamp.sources" && "$(<"$stamp")" == "${Cuda:-}" ]] || return 1
  [[ -z "$(cd "$root" && find "${build_inputs[@]}" "${folders[@]}" -type d \( -name bin -o -name obj \) -prune -o \
    \( -type f -newer "$stamp.sources" -o -type d -newer "$stamp" \) -print -quit)" ]]
}

run_tests() {
  local results="$artifacts/tests" status=0
  if [[ "${1:-}" == --quick ]]; then
    shift
    set -- --filter "Category!=Slow" "$@"
  fi
  ensure_set_up
  install_test_packages
  build_solution
  publish_library
  rm -rf "$results"
  dotnet test "$solution" -c Release --no-build --nologo --logger trx --results-directory "$results" "$@" 2>&1 |
    tee "$logs/test.log" || status=$?
  report_tests "$results" "$status"
}

# report_tests FOLDER STATUS: the sum over all test assemblies as one closing line.
report_tests() {
  local total passed executed failed skipped
  read -r total executed passed < <(cat "$1"/*.trx 2>/dev/null | grep -o '<Counters [^>]*>' | awk '
    function field(name) { return match($0, name "=\"[0-9]+\"") ? substr($0, RSTART + length(name) + 2, RLENGTH - length(name) - 3) : 0 }
    { total += field(" total"); executed += field(" executed"); passed += field(" passed") }
    END { print total + 0, executed + 0, passed + 0 }')
  failed=$((executed - passed))
  skipped=$((total - executed))
  if (($2 != 0 && failed == 0)); then
    say "The test run ended early or could not start (exit code $2, log: artifacts/logs/test.log); counted as one failure."
    failed=1
  elif ((total == 0)); then
    say "No test ran; counted as one failure."
    failed=1
  fi
  if ((skipped > 0)); then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  ((failed == 0))
}
