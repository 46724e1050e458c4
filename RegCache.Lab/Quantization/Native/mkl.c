/*
 * MKL, which libtorch carries, uses the wide vector instructions of a processor only where this function of its own says that Intel made it; on
 * AMD's it falls back to older ones, at half the speed. Loaded before libtorch (TensorLibrary.cs), this answer takes the place of MKL's, so that
 * it goes by the instruction set alone.
 */
__attribute__((visibility("default"))) int mkl_serv_intel_cpu_true(void) { return 1; }
