# Sourced: settings of the programs that the kit runs. What the caller has set stays.

export DOTNET_CLI_TELEMETRY_OPTOUT="${DOTNET_CLI_TELEMETRY_OPTOUT-1}"
export DOTNET_NOLOGO="${DOTNET_NOLOGO-1}"

# Batches of activations are larger than what malloc keeps: without these every block would fault fresh pages in.
export MALLOC_MMAP_MAX_="${MALLOC_MMAP_MAX_-0}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_-4294967296}"

# Where files of the kit are found, whatever folder it is called from.
export REGCACHE_ROOT="$root"
