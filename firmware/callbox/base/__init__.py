"""What every room may use: time, chance, bounded queues, frames, errors told to a person. Imports nothing of ours."""
