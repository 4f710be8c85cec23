"""What a trained run can be asked for, one file each."""
