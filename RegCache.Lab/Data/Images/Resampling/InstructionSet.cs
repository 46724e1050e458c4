using System.Runtime.Intrinsics.X86;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>The instructions that the resampling loops are written for; the bytes are the same with each.</summary>
internal enum InstructionSet
{
    /// <summary>No particular processor.</summary>
    Portable,

    /// <summary>256-bit vectors.</summary>
    Avx2,

    /// <summary>512-bit vectors with byte and word operations.</summary>
    Avx512,
}

/// <summary>Chooses the instructions.</summary>
internal static class InstructionSets
{
    /// <summary>The widest that this processor has.</summary>
    public static InstructionSet Best { get; } =
        IsSupported(InstructionSet.Avx512) ? InstructionSet.Avx512
        : IsSupported(InstructionSet.Avx2) ? InstructionSet.Avx2
        : InstructionSet.Portable;

    /// <summary>Whether this processor has them.</summary>
    public static bool IsSupported(InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => Avx512BW.IsSupported && Avx2.IsSupported,
        InstructionSet.Avx2 => Avx2.IsSupported,
        _ => true,
    };
}
