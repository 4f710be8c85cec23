"""One Gaussian of items, of which the way from noise is known exactly."""

import torch
from torch import nn


class Exact(nn.Module):
    """What a net would learn of it; `of` says so of the part of x along each axis, with the variance there.

    x `(n, *shape)` are at one time.
    """

    def __init__(self, size, of, seed=0):
        super().__init__()
        chance = torch.Generator().manual_seed(seed)
        self.axes = torch.linalg.qr(torch.randn(size, size, generator=chance)).Q
        self.variances = torch.linspace(0.01, 3.0, size)
        self.mean = torch.linspace(-1, 1, size)
        self.of = of

    @property
    def covariance(self):
        return self.axes @ self.variances.diag() @ self.axes.T

    def forward(self, x, time):
        along = x.flatten(1) @ self.axes
        told = self.of(float(time[0]), along, self.mean @ self.axes, self.variances)
        return (told @ self.axes.T).view_as(x)

    def check(self, made, within=0.06):
        """Assert that made items have its mean and covariance, in units of the largest variance."""
        made = made.flatten(1)
        assert (made.mean(0) - self.mean).abs().max() < within
        assert (made.T.cov() - self.covariance).abs().max() < within * self.variances.max()
