using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class linalg
    {
        public static Tensor cholesky(Tensor input) => Op.Call("aten::linalg_cholesky"u8, input);

        public static Tensor det(Tensor input) => Op.Call("aten::linalg_det"u8, input);

        public static (Tensor, Tensor) eigh(Tensor input, char UPLO = 'L') => Op.Call2("aten::linalg_eigh"u8, input, UPLO.ToString());

        public static Tensor eigvalsh(Tensor input, char UPLO = 'L') => Op.Call("aten::linalg_eigvalsh"u8, input, UPLO.ToString());

        public static Tensor inv(Tensor input) => Op.Call("aten::linalg_inv"u8, input);

        public static Tensor matrix_norm(Tensor input, double ord, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_matrix_norm"u8, input, ord, dims ?? [-2, -1], keepdim);

        public static Tensor matrix_norm(Tensor input, string ord = "fro", long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_matrix_norm.str_ord"u8, input, ord, dims ?? [-2, -1], keepdim);

        public static Tensor norm(Tensor input, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_norm"u8, input, Arg.None, dims, keepdim);

        public static Tensor norm(Tensor input, double ord, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_norm"u8, input, ord, dims, keepdim);

        public static Tensor norm(Tensor input, int ord, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_norm"u8, input, (double)ord, dims, keepdim);

        public static Tensor norm(Tensor input, string ord, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_norm.ord_str"u8, input, ord, dims, keepdim);

        public static Tensor pinv(Tensor input, double? atol = null, double? rtol = null, bool hermitian = false) =>
            Op.Call("aten::linalg_pinv.atol_rtol_float"u8, input, atol, rtol, hermitian);

        public static (Tensor, Tensor) slogdet(Tensor input) => Op.Call2("aten::linalg_slogdet"u8, input);

        public static Tensor solve(Tensor A, Tensor B, bool left = true) => Op.Call("aten::linalg_solve"u8, A, B, left);

        public static (Tensor, Tensor, Tensor) svd(Tensor input, bool fullMatrices = true) => Op.Call3("aten::linalg_svd"u8, input, fullMatrices);

        public static Tensor svdvals(Tensor input) => Op.Call("aten::linalg_svdvals"u8, input);

        public static Tensor vector_norm(Tensor input, double ord = 2, long[]? dims = null, bool keepdim = false) =>
            Op.Call("aten::linalg_vector_norm"u8, input, ord, dims, keepdim);
    }
}
