"""vaelab trains, samples and judges variational autoencoders on waves, radio pulses, sound and pictures."""

__version__ = "0.1.0"
