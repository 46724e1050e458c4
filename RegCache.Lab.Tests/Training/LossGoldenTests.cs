using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Golden")]
public class LossGoldenTests
{
    private const double Tolerance = 1e-5;

    [Fact]
    public void TheLossOfOneProcessAndItsGradients()
    {
        var golden = GoldenTensors.Load("clip", "clip_loss.safetensors");
        var (image, text, scale) = Leaves(golden["image"], golden["text"], golden["logit_scale"]);
        using var loss = ContrastiveLoss.Of(image, text, scale);
        loss.backward();
        GoldenTensors.AssertClose(golden["loss"], loss, Tolerance);
        AssertGradients(golden, "", image, text, scale);
    }

    [Fact]
    public void TargetsOfSinglePairsGiveTheSameLoss()
    {
        var golden = GoldenTensors.Load("clip", "clip_loss.safetensors");
        using var targets = torch.eye(golden["image"].shape[0]);
        using var loss = ContrastiveLoss.Of(golden["image"], golden["text"], golden["logit_scale"], targets);
        GoldenTensors.AssertClose(golden["loss"], loss, Tolerance);
    }

    [Fact]
    public void Distillation()
    {
        var golden = GoldenTensors.Load("clip", "clip_loss.safetensors");
        var (image, text, scale) = Leaves(golden["image"], golden["text"], golden["logit_scale"]);
        using var contrastive = ContrastiveLoss.Of(image, text, scale);
        using var distillation = DistillationLoss.Of(
            image, text, scale, golden["distill.teacher_image"], golden["distill.teacher_text"], golden["distill.teacher_scale"]);
        (contrastive + distillation).backward();
        GoldenTensors.AssertClose(golden["distill.contrastive_loss"], contrastive, Tolerance);
        GoldenTensors.AssertClose(golden["distill.distill_loss"], distillation, Tolerance);
        AssertGradients(golden, "distill.", image, text, scale);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void SeveralRanks(bool local, bool gather)
    {
        var golden = GoldenTensors.Load("clip", "clip_loss.safetensors");
        var ranks = (int)golden["dist.image"].shape[0];
        var leaves = Enumerable.Range(0, ranks)
            .Select(rank => Leaves(golden["dist.image"][rank], golden["dist.text"][rank], golden["dist.logit_scale"]))
            .ToArray();
        var images = leaves.Select(leaf => leaf.Image).ToArray();
        var texts = leaves.Select(leaf => leaf.Text).ToArray();
        var losses = leaves.Select((leaf, rank) => new RankLoss(local, gather).Of(images, texts, rank, leaf.Scale)).ToArray();

        // Backward passes of all ranks reach a rank's features exactly where the gather is differentiable.
        torch.stack(losses).sum().backward();
        for (var rank = 0; rank < ranks; rank++)
        {
            var name = $"dist.local{(local ? 1 : 0)}_grad{(gather ? 1 : 0)}.rank{rank}.";
            GoldenTensors.AssertClose(golden[name + "loss"], losses[rank], Tolerance);
            AssertGradients(golden, name, leaves[rank].Image, leaves[rank].Text, leaves[rank].Scale);
        }
    }

    private static (torch.Tensor Image, torch.Tensor Text, torch.Tensor Scale) Leaves(
        torch.Tensor image, torch.Tensor text, torch.Tensor scale) =>
        (image.clone().requires_grad_(), text.clone().requires_grad_(), scale.clone().requires_grad_());

    private static void AssertGradients(
        Dictionary<string, torch.Tensor> golden, string prefix, torch.Tensor image, torch.Tensor text, torch.Tensor scale)
    {
        GoldenTensors.AssertClose(golden[prefix + "grad_image"], image.grad!, Tolerance);
        GoldenTensors.AssertClose(golden[prefix + "grad_text"], text.grad!, Tolerance);
        GoldenTensors.AssertClose(golden[prefix + "grad_scale"], scale.grad!, Tolerance);
    }
}
