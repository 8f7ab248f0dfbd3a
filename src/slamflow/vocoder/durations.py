"""How long units without repeats last."""

import torch
from torch import nn
from torch.nn import functional

MOST = 1000  # frames of a unit


class DurationPredictor(nn.Module):
    """Two convolutions over units; its target is ln(count + 1) of each.

    It is that of FastSpeech 2 (Ren and others 2020, arXiv 2006.04558, section 2.3), with the names
    that Code-HiFi-GAN's weights have.
    """

    def __init__(self, size: int, hidden: int, kernel: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv1d(size, hidden, kernel, padding=kernel // 2), nn.ReLU())
        self.ln1 = nn.LayerNorm(hidden)
        self.conv2 = nn.Sequential(
            nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2), nn.ReLU()
        )
        self.ln2 = nn.LayerNorm(hidden)
        self.proj = nn.Linear(hidden, 1)
        self.dropout = dropout

    def forward(self, units: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """ln(count + 1), [batch, n], of embedded units [batch, n, size].

        Args:
            mask: [batch, n, 1]; 1 for units, 0 behind them.
        """
        hidden = units
        for convolution, norm in ((self.conv1, self.ln1), (self.conv2, self.ln2)):
            hidden = norm(convolution((hidden * mask).mT).mT)
            hidden = functional.dropout(hidden, self.dropout, self.training)
        return self.proj(hidden).squeeze(2)


def counts(logarithms: torch.Tensor) -> torch.Tensor:
    """Whole frames, 1 to MOST, of ln(count + 1)."""
    return torch.expm1(logarithms.float()).round().clamp(1, MOST).long()


def mask(lengths: torch.Tensor, size: int) -> torch.Tensor:
    """Float [batch, size, 1]: 1 before `lengths` [batch], 0 from there on."""
    places = torch.arange(size, device=lengths.device)
    return (places < lengths[:, None]).float()[:, :, None]
