"""Tests of what judges and feeds the demo model: `python3 -m unittest` in this folder."""
import unittest
from dataclasses import replace

import numpy as np
import torch

import scenes
from bpe import Tokenizer
from dataset import Latents, enlarged
from detect import find_objects, judge
from evaluate import contact_sheet
from model import BaseModel, sigmas
from sample import sample, schedule
from train_adapters import Lora, add_lora, kohya_names
from train_base import noised
from train_text import CLASSES, GROUNDS, classes, places
from trainer import FlatParameters, Matrices, orthogonal


def lone(**changes):
    thing = scenes.Thing("circle", "red", x=32.0, y=64.0, radius=22.0)
    return scenes.Scene((replace(thing, **changes),), "blue", "left")


def pair(first, second, relation):
    things = (replace(first, x=33.0), replace(second, x=95.0))
    return scenes.Scene(things, "yellow", "", relation)


class Judgement(unittest.TestCase):
    def wrong(self, asked, shown):
        return {name for name, right in judge(asked, scenes.draw(shown)).items() if not right}

    def test_right_pictures(self):
        for scene, prompt in scenes.evaluation_scenes(60):
            self.assertTrue(all(judge(scene, scenes.draw(scene)).values()), prompt)

    def test_each_fault_is_seen(self):
        self.assertEqual(self.wrong(lone(), lone(colour="green")), {"colour", "one object"})
        self.assertEqual(self.wrong(lone(), lone(shape="star")), {"shape", "one object"})
        self.assertEqual(self.wrong(lone(), lone(x=96.0)), {"position"})
        self.assertEqual(self.wrong(lone(size="big"), lone(radius=15.0)), {"size"})
        self.assertIn("background", self.wrong(lone(), replace(lone(), background="green")))
        twice = replace(lone(), things=(*lone().things, *lone(x=96.0).things))
        self.assertEqual(self.wrong(lone(), twice), {"count", "one object"})
        self.assertIn("one object", self.wrong(lone(), replace(lone(), things=())))

    def test_relations(self):
        red, green = scenes.Thing("circle", "red"), scenes.Thing("square", "green")
        asked, mirrored = pair(red, green, "left of"), pair(green, red, "left of")
        self.assertEqual(self.wrong(asked, asked), set())
        self.assertEqual(self.wrong(asked, mirrored), {"position"})
        swapped = pair(replace(red, colour="green"), replace(green, colour="red"), "left of")
        self.assertIn("two objects", self.wrong(asked, asked.__class__((asked.things[0],), "yellow")))
        self.assertNotEqual(self.wrong(asked, swapped), set())

    def test_shapes_with_soft_outlines_and_spurs(self):
        for ground, colour in (("white", "black"), ("yellow", "orange"), ("sea", "green")):
            for shape in scenes.SHAPES:
                scene = scenes.Scene((scenes.Thing(shape, colour, x=61.0, y=66.0, radius=16.0),), ground)
                picture = scenes.draw(scene).astype(float)
                picture[64:67, 70:84] = scenes.COLOURS[colour]
                for axis in (0, 1):
                    picture = (np.roll(picture, 1, axis) + 2 * picture + np.roll(picture, -1, axis)) / 4
                found = find_objects(picture.astype(np.uint8), ground)
                self.assertEqual([(thing.shape, thing.colour) for thing in found], [(shape, colour)], ground)
                self.assertAlmostEqual(found[0].radius, 16, delta=2)


class Data(unittest.TestCase):
    def test_prompts_are_those_of_the_file(self):
        self.assertEqual(scenes.EVALUATION_FILE.read_text().splitlines(),
                         [prompt for _, prompt in scenes.evaluation_scenes()])

    def test_training_leaves_them_out(self):
        kept_out, made = scenes.held_out(), scenes.training_scenes(4)
        self.assertFalse(any(scenes.digest(next(made)[0]) in kept_out for _ in range(3000)))

    def test_loosened_scenes_stay_inside(self):
        random, made = np.random.default_rng(4), scenes.training_scenes(3)
        for _ in range(200):
            for thing in scenes.loosened(random, next(made)[0]).things:
                self.assertGreater(min(thing.x, thing.y, scenes.SIZE - thing.x, scenes.SIZE - thing.y), thing.radius)

    def test_every_word_is_one_token(self):
        tokenizer = Tokenizer()
        self.assertTrue(all(len(tokenizer.word(word)) == 1 for word in scenes.words()))

    def test_ids_of_both_encoders(self):
        tokenizer, captions = Tokenizer(), ["a red circle", "two green stars at night"]
        ids, ids_2 = Latents(torch.zeros(2, 4, 2, 2), captions, tokenizer).ids
        for i, text in enumerate(captions):
            self.assertEqual(ids[i].tolist(), tokenizer.encode(text).tolist())
            self.assertEqual(ids_2[i].tolist(), tokenizer.encode(text, 0).tolist())

    def test_scenes_as_classes(self):
        scene = pair(scenes.Thing("circle", "red", "big"), scenes.Thing("ring", "black"), "left of")
        found = classes(scene)
        self.assertEqual(found, [GROUNDS.index("yellow"), 1, 1, 2 + 1, 6, 8, 1, 0, 0, 0])
        self.assertTrue(all(0 <= value < count for value, count in zip(found, CLASSES, strict=True)))
        self.assertAlmostEqual(float(places(scene)[0]), 33 / 64 - 1, 5)
        self.assertEqual(places(scene)[4:].tolist(), [0, 0])

    def test_edges_are_unpacked(self):
        lines = np.zeros((1, scenes.SIZE, scenes.SIZE), bool)
        lines[0, 3, 5] = lines[0, 100, 127] = True
        data = Latents(torch.zeros(1, 4, 2, 2), ["a"], Tokenizer(), edges=torch.from_numpy(np.packbits(lines).reshape(1, -1)))
        self.assertTrue((data.lines(torch.tensor([0]))[0, 0].numpy() == lines[0]).all())

    def test_sheet(self):
        sheet = contact_sheet([np.full((scenes.SIZE, scenes.SIZE, 3), i, np.uint8) for i in range(8)], 3, 4)
        self.assertEqual(sheet.shape, (3 * 132 + 4, 3 * 132 + 4, 3))
        self.assertEqual((sheet[4, 4, 0], sheet[4, 136, 0], sheet[136, 4, 0], sheet[-5, -5, 0]), (0, 1, 3, 255))


class Perfect(torch.nn.Module):
    """Knows the picture: v from x_t alone."""

    def __init__(self, latents):
        super().__init__()
        self.latents, self.conv_in = latents, torch.nn.Conv2d(4, 4, 1)

    def forward(self, x, timesteps, context, pooled, time_ids):
        sigma = sigmas()[timesteps][:, None, None, None]
        scale = (1 + sigma**2).rsqrt()
        noise = (x - scale * self.latents) / (scale * sigma)
        return (noise - sigma * self.latents) * scale


class Sampling(unittest.TestCase):
    def test_finds_what_training_aims_at(self):
        latents = torch.randn(1, 4, 4, 4)
        base = type("Base", (), {"unet": Perfect(latents),
                                 "encode": lambda self, texts, length: (torch.zeros(len(texts), 1, 1),) * 2})()
        drawn = sample(base, ["anything"], torch.randn(1, 4, 4, 4), steps=10)
        self.assertLess(float((drawn - latents).abs().max()), 1e-3)

    def test_target_is_v(self):
        timesteps = schedule(5)[0]
        latents = torch.randn(5, 4, 2, 2)
        x, target, weight = noised(latents, torch.randn(5, 4, 2, 2), timesteps, sigmas())
        scale = (1 + sigmas()[timesteps] ** 2).rsqrt()[:, None, None, None]
        # x_0 = alpha x_t - sigma v
        self.assertLess(float((scale * x - (1 - scale**2).sqrt() * target - latents).abs().max()), 1e-4)
        self.assertTrue(bool((weight > 0).all() and (weight <= 1).all()))


class Adapters(unittest.TestCase):
    def test_low_rank_changes_as_one_weight(self):
        torch.manual_seed(3)
        for layer, given in ((torch.nn.Linear(12, 20), torch.randn(2, 5, 12)),
                             (torch.nn.Conv2d(6, 8, 3, padding=1, stride=2), torch.randn(2, 6, 10, 10))):
            lora = Lora(layer)
            self.assertTrue(torch.equal(lora(given), layer(given)), "it begins as nothing")
            torch.nn.init.normal_(lora.lora_up.weight)
            expected = lora(given)
            change = lora.lora_up.weight.flatten(1) @ lora.lora_down.weight.flatten(1)
            layer.weight.data += change.view_as(layer.weight)
            self.assertLess(float((layer(given) - expected).abs().max()), 1e-4)

    def test_names_are_those_of_modules(self):
        unet = BaseModel().unet.requires_grad_(False)
        paths = {name.removesuffix(".weight").replace(".", "_") for name in unet.state_dict()}
        layers = add_lora(unet)
        self.assertTrue(any("resnets" in path for path in layers) and any("attn2" in path for path in layers))
        trained = {f"unet.{name}": p for name, p in unet.named_parameters() if p.requires_grad}
        named = kohya_names(trained)
        self.assertEqual(len(named), 3 * len(layers))
        self.assertTrue({name.removeprefix("lora_unet_").split(".")[0] for name in named} <= paths)

    def test_stripes_are_two_cells_high_from_the_middle(self):
        scene = lone(shape="square", radius=33.0, x=64.0)
        column = scenes.draw(scene, "stripes")[:, 64].astype(int)
        red = (np.abs(column - scenes.COLOURS["red"]).sum(-1) < 10)[64 - 24:64 + 24]
        self.assertEqual(red.tolist(), [False] * 16 + [True] * 16 + [False] * 16)

    def test_enlarged_is_softer_and_no_other_picture(self):
        picture = scenes.draw(lone())[None]
        soft = enlarged(picture)
        steps = lambda pictures: np.abs(np.diff(pictures.astype(int), axis=2)).max()
        self.assertLess(steps(soft), 0.7 * steps(picture))
        self.assertLess(np.abs(soft.astype(int) - picture).mean(), 3)


class Optimiser(unittest.TestCase):
    def test_directions_have_even_singular_values(self):
        random = torch.Generator().manual_seed(1)
        given = torch.randn(3, 40, 160, generator=random) * torch.logspace(-1.5, 0, 160)
        values = torch.linalg.svdvals(orthogonal(given))
        self.assertGreater(float(values.min()), 0.5)
        self.assertLess(float(values.max()), 1.3)

    def test_matrices_alone_are_directed(self):
        torch.manual_seed(1)
        layers = torch.nn.ModuleDict({"deep": torch.nn.Conv2d(32, 64, 3), "tall": torch.nn.Linear(32, 96),
                                      "narrow": torch.nn.Linear(8, 64), "conv_in": torch.nn.Conv2d(32, 32, 3)})
        layout = FlatParameters(layers, torch.float32)
        momentum = torch.randn(layout.count)
        update = torch.zeros(layout.count)
        Matrices(layout, 2).direct(momentum, update)
        made = layout.named_tensors(update)
        self.assertEqual({name for name, values in made.items() if bool(values.any())}, {"deep.weight", "tall.weight"})
        for name in ("deep.weight", "tall.weight"):
            matrix = made[name].permute(0, 2, 3, 1).flatten(1) if made[name].dim() == 4 else made[name]
            given = layout.named_tensors(momentum)[name]
            given = given.permute(0, 2, 3, 1).flatten(1) if given.dim() == 4 else given
            left, _, right = torch.linalg.svd(given, full_matrices=False)
            self.assertGreater(float(torch.cosine_similarity((left @ right).flatten(), matrix.flatten(), 0)), 0.9)
            self.assertAlmostEqual(float(matrix.square().mean().sqrt()), Matrices.SPREAD, delta=0.06)


if __name__ == "__main__":
    unittest.main()
