"""Draws the evaluation prompts and reads the pictures with the detector: how often is what was asked there?

By default the worker draws them (`--worker`), in one process, over its own protocol; `--torch` draws the same with
this folder's networks, `--truth` judges the generator's own pictures, which must all be right, and `--autoencoder`
these as the model's autoencoder gives them back: better than that no drawing can be.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import configs
import scenes
from detect import format_table, judge, table


def by_worker(worker, model, prompts, options):
    """Pictures in the order of the prompts: one request a line, one answer a line."""
    from PIL import Image
    with tempfile.TemporaryDirectory() as folder:
        lines = [json.dumps({"message_type": "inference_request", "request_id": str(i), "data": {
            "prompt": prompt, "model_name": str(pathlib.Path(model).resolve()), "width": scenes.SIZE,
            "height": scenes.SIZE, "steps": options.steps, "guidance_scale": options.guidance,
            "seed": options.seed + i, "scheduler": options.scheduler,
            "output": {"format": "png", "save_path": f"{folder}/{i}.png"}}}) for i, prompt in enumerate(prompts)]
        done = subprocess.run([worker, "--log-level", "ERROR", "--output-dir", folder], text=True, check=True,
                              input="".join(line + "\n" for line in lines), stdout=subprocess.PIPE)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        paths = {}
        for answer in answers:
            if not answer["success"]:
                sys.exit(f"evaluate: the worker refused: {answer['error']}")
            paths[answer["request_id"]] = answer["data"]["generated_images"][0]["image_path"]
        return [np.array(Image.open(paths[str(i)]).convert("RGB")) for i in range(len(prompts))]


def by_torch(base, vae, prompts, options, batch=20):
    import torch
    from sample import decode, first_noise, sample
    pictures = []
    for begin in range(0, len(prompts), batch):
        part = prompts[begin:begin + batch]
        noise = first_noise(range(options.seed + begin, options.seed + begin + len(part)))
        noise = noise.contiguous(memory_format=torch.channels_last)
        pictures += list(decode(vae, sample(base, part, noise, options.steps, options.guidance)))
    return pictures


def by_autoencoder(vae, pictures, batch=20):
    import torch
    from sample import decode
    from model import SCALING_FACTOR
    from dataset import as_tensor
    decoded = []
    for begin in range(0, len(pictures), batch):
        given = as_tensor(np.stack(pictures[begin:begin + batch])).to(vae.quant_conv.weight.dtype)
        with torch.no_grad():
            latents = vae.encode(given.contiguous(memory_format=torch.channels_last))[0]
        decoded += list(decode(vae, latents.float() * SCALING_FACTOR))
    return decoded


def contact_sheet(pictures, columns=6, gap=4):
    """Row by row, on white."""
    side = scenes.SIZE + gap
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * side + gap, columns * side + gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * side + gap, i % columns * side + gap
        sheet[y:y + scenes.SIZE, x:x + scenes.SIZE] = picture
    return sheet


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="assets/demo")
    parser.add_argument("--worker", default="build/release/sdxl-worker")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--truth", action="store_true")
    parser.add_argument("--autoencoder", action="store_true")
    parser.add_argument("--training", type=pathlib.Path, help="with --torch: this folder's base.pt in place of the model's")
    parser.add_argument("--count", type=int, default=200, help="of the 200 prompts, the first ones")
    parser.add_argument("--steps", type=int, default=configs.SETTINGS["num_inference_steps"])
    parser.add_argument("--guidance", type=float, default=configs.SETTINGS["guidance_scale"])
    parser.add_argument("--scheduler", default="EulerDiscreteScheduler")
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture; each has the next one")
    parser.add_argument("--sheet", type=pathlib.Path, help="a picture of the first 24 pictures")
    options = parser.parse_args()
    asked = scenes.evaluation_scenes()[:options.count]
    prompts = [prompt for _, prompt in asked]
    start = time.time()
    if options.truth:
        pictures = [scenes.draw(scene) for scene, _ in asked]
    elif options.autoencoder:
        import torch
        from model import open_vae
        from trainer import arithmetic
        torch.set_num_threads(1)
        pictures = by_autoencoder(open_vae(options.model).to(arithmetic("cpu")), [scenes.draw(scene) for scene, _ in asked])
    elif options.torch:
        import torch
        from model import BaseModel, open_base, open_vae
        from trainer import arithmetic, load_averaged
        torch.set_num_threads(1)
        if options.training:
            base = BaseModel()
            state = load_averaged(base, options.training / "base.pt")
            print(f"step {state['step']}, {state['seconds']:.0f} s of training")
        else:
            base = open_base(options.model)
        pictures = by_torch(base.to(arithmetic("cpu")), open_vae(options.model).to(arithmetic("cpu")), prompts, options)
    else:
        pictures = by_worker(options.worker, options.model, prompts, options)
    print(format_table(table([judge(scene, picture) for (scene, _), picture in zip(asked, pictures)])))
    print(f"{len(pictures)} pictures in {time.time() - start:.0f} s", file=sys.stderr)
    if options.sheet:
        from PIL import Image
        Image.fromarray(contact_sheet(pictures[:24])).save(options.sheet, optimize=True)


if __name__ == "__main__":
    main()
