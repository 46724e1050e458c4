# Sourced: how the native libraries shall use the cores. What the caller has set stays.

# libtorch's threads sleep while they wait, so that they leave the cores to the threads that decode images.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY-PASSIVE}"

export DOTNET_CLI_TELEMETRY_OPTOUT="${DOTNET_CLI_TELEMETRY_OPTOUT-1}"
export DOTNET_NOLOGO="${DOTNET_NOLOGO-1}"
