"""Linear layers that go through oneDNN on a CPU."""

import torch


class Linear(torch.nn.Linear):
    """A linear layer as a convolution of width one.

    PyTorch gives convolutions to oneDNN and matrix products to MKL, and on AMD's CPUs oneDNN is
    twice as fast (bench/extract.py measures both).
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:  # (..., width)
        pixels = hidden.reshape(1, -1, 1, self.in_features).permute(0, 3, 1, 2)
        weight = self.weight[:, :, None, None]
        # A dilation changes nothing here, but that a single thread takes oneDNN too.
        rows = torch.nn.functional.conv2d(pixels, weight, self.bias, dilation=2)
        rows = rows.permute(0, 2, 3, 1)
        return rows.reshape(*hidden.shape[:-1], self.out_features)


def through_onednn(network: torch.nn.Module) -> None:
    """Put Linear in the place of a network's linear layers; the parameters stay what they are."""
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if type(layer) is torch.nn.Linear:
                own = Linear(layer.in_features, layer.out_features, device="meta")
                own.weight, own.bias = layer.weight, layer.bias
                setattr(module, name, own)
