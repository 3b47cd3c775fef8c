"""Mathematics that detectors and rules share: onsets, robust statistics, the loss filter undone. numpy only."""
