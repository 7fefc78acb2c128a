"""Sizes of every part. SDXL's structure at a small scale: heads of 64, native size 128 x 128 (latents 16 x 16)."""

POSITIONS = 77
SIZE = 128
GROUPS = 16  # of the UNets: 4 channels a group at the outermost level

VAE = {"channels": [32, 32, 64, 64], "layers": 1, "groups": 8}
TEXT_1 = {"width": 64, "layers": 2}
TEXT_2 = {"width": 128, "layers": 3, "projection": 128}
CONTEXT = TEXT_1["width"] + TEXT_2["width"]

BASE = {"channels": [64, 64, 128], "layers": 1, "depths": [0, 1, 2], "mid_depth": 2, "time": 128,
        "context": CONTEXT, "pooled": TEXT_2["projection"], "time_ids": 6, "groups": GROUPS}
CONTROLNET = {**BASE, "depths": [0, 0, 0], "mid_depth": 0, "hint": [16, 16, 32, 32]}
# As SDXL's own, the refiner has the second text encoder alone and is told an aesthetic score.
REFINER = {**BASE, "channels": [32, 64, 64], "depths": [0, 1, 1], "mid_depth": 1,
           "context": TEXT_2["width"], "time_ids": 5}

SETTINGS = {"num_inference_steps": 20, "guidance_scale": 2.0}  # what requests get that ask for none
