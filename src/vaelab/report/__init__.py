"""What a run writes and tells: checkpoints, TensorBoard, figures, tables."""
