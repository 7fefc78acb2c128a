"""Captioned scenes of simple shapes: what the demo model is trained on, drawn by our own code from a seed.

A scene is a background and one to three objects. `draw` renders it with an antialiased rasteriser (coverage from
signed distances), `caption` words it, `key` is its content without the wording: scenes that share the key of an
evaluation prompt never come into training.
"""
import hashlib
import pathlib
from dataclasses import dataclass, replace

import numpy as np

SIZE = 128
COLOURS = {"red": (214, 38, 38), "green": (44, 160, 58), "blue": (36, 74, 214), "yellow": (250, 218, 50),
           "orange": (246, 136, 26), "purple": (140, 52, 184), "white": (246, 246, 246), "black": (20, 20, 22)}
SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
PLAIN = (*COLOURS, "pink", "gray")
PLACES = ("sky", "sea", "grass", "night", "sunset", "desert")
PLAIN_COLOURS = {**COLOURS, "pink": (248, 172, 196), "gray": (140, 142, 146)}
# Objects whose colour a background has are not drawn on it.
CLASHES = {"sky": {"white"}, "sea": {"blue", "white"}, "grass": {"green"}, "night": {"black"},
           "sunset": {"orange", "purple", "red"}, "desert": {"yellow", "orange", "white"}, "pink": set(), "gray": set()}
# Objects stand on the cells of the latents and have few sizes: their outlines then are few patterns of latents, for a
# model that trains for hours.
CELL = 8
RADII = {"small": 15, "": 23, "big": 33}
POSITIONS = {"": (64, 64), "left": (32, 64), "right": (96, 64), "top": (64, 32), "bottom": (64, 96),
             "top left": (32, 32), "top right": (96, 32), "bottom left": (32, 96), "bottom right": (96, 96)}
RELATIONS = ("left of", "right of", "above", "below", "and")
EVALUATION_FILE = pathlib.Path(__file__).with_name("evaluation_prompts.txt")


@dataclass(frozen=True)
class Thing:
    shape: str
    colour: str
    size: str = ""  # "small", "" or "big"
    x: float = 64.0
    y: float = 64.0
    radius: float = 22.0


@dataclass(frozen=True)
class Scene:
    things: tuple
    background: str
    position: str = ""  # of a lone object
    relation: str = ""  # of two different objects, or "row" for more and equal ones

    def key(self):
        """The content without the wording and the jitter."""
        words = [f"{thing.size} {thing.colour} {thing.shape}" for thing in self.things]
        return "|".join([self.background, self.position, self.relation, *words])


# --- drawing -------------------------------------------------------------------------------------------------

def _polygon(px, py, corners):
    """Signed distance to a polygon, negative inside. Inside by the even-odd rule."""
    distance = np.full(px.shape, np.inf)
    inside = np.zeros(px.shape, bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0)):
        ex, ey = bx - ax, by - ay
        along = np.clip(((px - ax) * ex + (py - ay) * ey) / (ex * ex + ey * ey), 0.0, 1.0)
        distance = np.minimum(distance, (px - ax - along * ex) ** 2 + (py - ay - along * ey) ** 2)
        if ay != by:
            inside ^= ((ay > py) != (by > py)) & (px < ax + (py - ay) / (by - ay) * ex)
    return np.where(inside, -1.0, 1.0) * np.sqrt(distance)


def _corners(shape):
    """Of a polygon in the unit circle, y downwards."""
    if shape == "square":
        side = 0.84
        return np.array([(-side, -side), (side, -side), (side, side), (-side, side)])
    if shape == "triangle":
        return np.array([(0.0, -0.98), (1.0, 0.8), (-1.0, 0.8)])
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.08, 0.44)
        return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    if shape == "cross":
        a, b = 0.32, 0.98
        return np.array([(-a, -b), (a, -b), (a, -a), (b, -a), (b, a), (a, a),
                         (a, b), (-a, b), (-a, a), (-b, a), (-b, -a), (-a, -a)])
    raise ValueError(shape)


def _covered(thing, size):
    """The part of the picture [size, size] that the object may reach, and how much of its pixels it covers, 0..1."""
    reach = 1.4 * thing.radius + 2  # nothing of it lies further out
    left, right = max(0, int(thing.x - reach)), min(size, int(thing.x + reach) + 1)
    top, bottom = max(0, int(thing.y - reach)), min(size, int(thing.y + reach) + 1)
    px, py = np.meshgrid(np.arange(left, right) + 0.5 - thing.x, np.arange(top, bottom) + 0.5 - thing.y)
    if thing.shape in ("circle", "ring"):
        distance = np.hypot(px, py) - thing.radius
        if thing.shape == "ring":
            middle, half = 0.72 * thing.radius, 0.28 * thing.radius
            distance = np.abs(np.hypot(px, py) - middle) - half
    else:
        distance = _polygon(px, py, _corners(thing.shape) * thing.radius)
    return (slice(top, bottom), slice(left, right)), np.clip(0.5 - distance, 0.0, 1.0)


def coverage(thing, size=SIZE):
    """[size, size] in 0..1: how much of each pixel the object covers."""
    part, cover = _covered(thing, size)
    whole = np.zeros((size, size))
    whole[part] = cover
    return whole


def _mix(top, bottom, share):
    return np.asarray(top, float) * (1 - share[..., None]) + np.asarray(bottom, float) * share[..., None]


_BACKGROUNDS = {}


def background(name, size=SIZE):
    """[size, size, 3] in 0..255; every background has one look."""
    if (name, size) in _BACKGROUNDS:
        return _BACKGROUNDS[name, size].copy()
    row = np.repeat(((np.arange(size) + 0.5) / size)[:, None], size, axis=1)  # 0 at the top, 1 at the bottom
    column = row.T
    step = lambda edge: np.clip((row - edge) * size + 0.5, 0, 1)
    if name in PLAIN_COLOURS:
        picture = _mix(PLAIN_COLOURS[name], PLAIN_COLOURS[name], row)
    elif name == "sky":
        picture = _mix((96, 178, 240), (186, 224, 250), row)
    elif name == "sea":
        waves = 0.5 + 0.5 * np.sin(2 * np.pi * (10 * row + 0.25 * np.sin(2 * np.pi * 3 * column)))
        water = _mix((20, 128, 150), (34, 152, 170), waves)
        picture = np.where(step(0.35)[..., None] > 0.5, water, _mix((206, 232, 246), (226, 240, 246), row))
    elif name == "grass":
        blades = 0.5 + 0.5 * np.sin(2 * np.pi * 10 * column + 4 * np.sin(2 * np.pi * 4 * row))
        picture = np.where(step(0.35)[..., None] > 0.5, _mix((112, 178, 70), (134, 198, 88), blades),
                           _mix((140, 202, 246), (196, 228, 250), row))
    elif name == "night":
        picture = _mix((14, 18, 58), (34, 42, 96), row)
        for x, y in ((0.09, 0.1), (0.3, 0.05), (0.52, 0.09), (0.74, 0.06), (0.92, 0.13), (0.05, 0.45),
                     (0.95, 0.52), (0.06, 0.85), (0.94, 0.9), (0.5, 0.95)):
            glow = np.clip(1.9 - np.hypot(column - x, row - y) * size, 0, 1)
            picture = picture * (1 - glow[..., None]) + np.array((240, 236, 190.0)) * glow[..., None]
    elif name == "sunset":
        picture = np.where((row < 0.5)[..., None], _mix((84, 44, 110), (206, 82, 110), np.clip(row * 2, 0, 1)),
                           _mix((206, 82, 110), (252, 178, 96), np.clip(row * 2 - 1, 0, 1)))
    elif name == "desert":
        dune = 0.4 + 0.04 * np.sin(2 * np.pi * column)
        picture = np.where((row > dune)[..., None], _mix((226, 192, 138), (206, 168, 112), row),
                           _mix((150, 208, 240), (214, 232, 240), row))
    else:
        raise ValueError(name)
    _BACKGROUNDS[name, size] = picture
    return picture.copy()


SILENT = 0.06
STYLES = ("stripes", "pastel")  # a texture of the objects and a palette of the whole, for the LoRAs


def _paint(thing, style):
    """An object's colour everywhere: [SIZE, SIZE, 3]."""
    colour = np.array(COLOURS[thing.colour], float)
    # From the object's middle: within a wide field, nothing would tell a convolution where a stripe begins. They are two
    # rows of latents high.
    odd = ((np.arange(SIZE) + 0.5 - thing.y) // CELL + 1) // 2 % 2 == 1
    odd = odd[:, None, None] & (style == "stripes")
    other = colour * 0.45 if colour.sum() > 380 else colour * 0.4 + 255 * 0.6
    return np.broadcast_to(np.where(odd, other, colour), (SIZE, SIZE, 3))


def draw(scene, style=None):
    """[SIZE, SIZE, 3] uint8. `style`: one of STYLES."""
    picture = background(scene.background)
    for thing in scene.things:
        part, cover = _covered(thing, SIZE)
        cover = cover[..., None]
        picture[part] = picture[part] * (1 - cover) + _paint(thing, style)[part] * cover
    if style == "pastel":
        picture = 0.45 * picture + 0.55 * 255
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def edges(scene):
    """[SIZE, SIZE] uint8: white outlines of the objects on black, as a ControlNet's edge picture."""
    lines = np.zeros((SIZE, SIZE))
    for thing in scene.things:
        cover = coverage(thing)
        slope = np.hypot(*np.gradient(cover))
        lines = np.where(cover > 0.5, 0, lines)
        lines = np.maximum(lines, np.clip(2 * slope, 0, 1))
    return (lines * 255 + 0.5).astype(np.uint8)


# --- choosing ------------------------------------------------------------------------------------------------

def _pick(random, values, count=None):
    chosen = random.permutation(len(values))[: count or 1]
    values = list(values)
    return values[chosen[0]] if count is None else [values[i] for i in chosen]


def place(random, things, relation, position=""):
    """Gives the objects of a scene their centres and radii."""
    if len(things) == 1:
        centres, limit = [POSITIONS[position]], 28 if position else RADII["big"]
        across = not position or "left" in position or "right" in position
        down = not position or "top" in position or "bottom" in position
        freedom = [(across, down)]  # whether it may be moved by a cell
    elif relation == "row":
        step, limit = (64, RADII[""]) if len(things) == 2 else (40, 17)
        centres = [(64 + step * (i - (len(things) - 1) / 2), 64) for i in range(len(things))]
        freedom = [(0, 1)] * len(things)
    else:
        limit = 28
        low, middle, high = 32, 64, 96
        centres = {"left of": [(low, middle), (high, middle)], "and": [(low, middle), (high, middle)],
                   "right of": [(high, middle), (low, middle)], "above": [(middle, low), (middle, high)],
                   "below": [(middle, high), (middle, low)]}[relation]
        freedom = [(1, 0) if relation in ("above", "below") else (0, 1)] * 2
    placed, moved = [], random.integers(-1, 2, (len(things), 2))
    for i, (thing, centre, free) in enumerate(zip(things, centres, freedom)):
        radius = min(RADII[thing.size], limit)
        x, y = np.array(centre) + CELL * moved[0 if relation == "row" else i] * free
        margin = radius + 3
        outside = margin > min(x, y) or max(x, y) > SIZE - margin
        x, y = centre if outside else (x, y)
        placed.append(replace(thing, x=float(x), y=float(y), radius=float(radius)))
    return tuple(placed)


def loosened(random, scene):
    """The scene with its objects off the cells and of any size; a lone one whose place is not said stands anywhere."""
    things = []
    for thing in scene.things:
        radius = thing.radius * random.uniform(0.8, 1.1)
        margin = radius + 3
        if len(scene.things) == 1 and not scene.position:
            x, y = random.uniform(margin, SIZE - margin, 2)
        else:
            x, y = np.clip(np.array((thing.x, thing.y)) + random.uniform(-5, 5, 2), margin, SIZE - margin)
        things.append(replace(thing, x=float(x), y=float(y), radius=float(radius)))
    return replace(scene, things=tuple(things))


def sample(random):
    """A random scene: `random` is a numpy Generator."""
    kind = random.choice(5, p=[0.42, 0.38, 0.08, 0.06, 0.06])  # one, two, two alike, three alike, three
    ground = _pick(random, PLAIN) if random.random() < 0.55 else _pick(random, PLACES)
    free = [colour for colour in COLOURS if colour != ground and colour not in CLASHES.get(ground, ())]
    size = lambda: ("", "small", "big")[random.choice(3, p=[0.6, 0.2, 0.2])]
    position = relation = ""
    if kind == 0:
        position = _pick(random, POSITIONS) if random.random() < 0.6 else ""
        things = (Thing(_pick(random, SHAPES), _pick(random, free), size()),)
    elif kind == 1:
        relation = _pick(random, RELATIONS)
        colours = _pick(random, free, 2)
        shapes = _pick(random, SHAPES, 2) if random.random() < 0.85 else [_pick(random, SHAPES)] * 2
        things = tuple(Thing(shape, colour, size()) for shape, colour in zip(shapes, colours))
    else:
        relation = "row"
        if kind == 4:
            things = tuple(Thing(_pick(random, SHAPES), colour) for colour in _pick(random, free, 3))
        else:
            things = (Thing(_pick(random, SHAPES), _pick(random, free)),) * (2 if kind == 2 else 3)
    return Scene(place(random, things, relation, position), ground, position, relation)


# --- wording -------------------------------------------------------------------------------------------------

_SIZES = {"small": ("small", "small", "little", "tiny"), "big": ("big", "big", "large", "huge"), "": ("",)}
_GROUNDS = {"sky": ("in the sky", "on a sky background"), "sea": ("at sea", "on the sea", "in the sea"),
            "grass": ("on the grass", "on green grass", "on a meadow"), "night": ("at night", "in the night"),
            "sunset": ("at sunset", "in the sunset"), "desert": ("in the desert", "on sand")}
_RELATIONS = {"left of": ("left of", "to the left of"), "right of": ("right of", "to the right of"),
              "above": ("above", "over"), "below": ("below", "under", "beneath"), "and": ("and", "and", "next to")}
_POSITIONS = {"left": ("on the left",), "right": ("on the right",), "top": ("at the top",),
              "bottom": ("at the bottom",), "top left": ("in the top left corner", "at the top left"),
              "top right": ("in the top right corner", "at the top right"),
              "bottom left": ("in the bottom left corner", "at the bottom left"),
              "bottom right": ("in the bottom right corner", "at the bottom right"),
              "": ("", "", "", "in the middle", "in the center")}
_OTHERS = {"circle": ("circle", "circle", "circle", "disc"), "square": ("square", "square", "square", "box")}
_PLURALS = {"box": "boxes", "cross": "crosses"}


def _a(words):
    return ("an " if words[0] in "aeiou" else "a ") + words


def _thing(random, thing, article=True, plural=False, coloured=True):
    noun = _pick(random, _OTHERS.get(thing.shape, (thing.shape,)))
    if plural:
        noun = _PLURALS.get(noun, noun + "s")
    words = " ".join(part for part in (_pick(random, _SIZES[thing.size]), coloured * thing.colour, noun) if part)
    return _a(words) if article else words


def caption(random, scene, silent=0.0):
    """`silent`: the share of lone objects whose colour is not said."""
    things = scene.things
    article = random.random() < 0.85
    coloured = len(things) > 1 or random.random() >= silent
    name = lambda thing: _thing(random, thing, article, coloured=coloured)
    if len(things) == 1:
        text = " ".join(part for part in (name(things[0]), _pick(random, _POSITIONS[scene.position])) if part)
    elif scene.relation != "row":
        text = f"{name(things[0])} {_pick(random, _RELATIONS[scene.relation])} {name(things[1])}"
    elif len(set((thing.shape, thing.colour) for thing in things)) == 1:
        text = f"{('two', 'three')[len(things) - 2]} {_thing(random, things[0], False, True)}"
    else:
        text = f"{name(things[0])}, {name(things[1])} and {name(things[2])}"
    if scene.background in PLAIN_COLOURS:
        plain = f"{scene.background} background"
        text += f" on {_a(plain)}" if random.random() < 0.85 else f", {plain}"
    else:
        text += " " + _pick(random, _GROUNDS[scene.background])
    if random.random() < 0.06:
        text = _pick(random, ("a picture of ", "a drawing of ")) + text
    return text


def words():
    """Every word that a caption may have, for the tokenizer."""
    found = set("a an on the in at of and to background picture drawing two three".split())
    for table in (_SIZES, _GROUNDS, _RELATIONS, _POSITIONS, _OTHERS):
        for phrases in table.values():
            for phrase in phrases:
                found.update(phrase.split())
    for shape in (*SHAPES, "disc", "box"):
        found.update((shape, _PLURALS.get(shape, shape + "s")))
    found.update(PLAIN_COLOURS)
    # Not in any caption: for negative prompts, and words that a person may try.
    found.update("no not with without many one four shape shapes color colour grey rainbow bright dark light "
                 "center centre beside near between behind front , . 0 1 2 3 4 5 6 7 8 9".split())
    return sorted(found)


# --- evaluation ----------------------------------------------------------------------------------------------

def evaluation_scenes(count=200, seed=20261125):
    """The scenes behind evaluation_prompts.txt, with their prompts: half of one object, a third of two."""
    random = np.random.default_rng(seed)
    chosen, seen = [], set()
    while len(chosen) < count:
        scene = sample(random)
        if scene.key() not in seen:
            seen.add(scene.key())
            chosen.append((scene, caption(random, scene)))
    return chosen


def held_out():
    """Hashes of the contents that training leaves out."""
    return {digest(scene) for scene, _ in evaluation_scenes()}


def digest(scene):
    return hashlib.sha256(scene.key().encode()).hexdigest()[:16]


def training_scenes(seed):
    """Endless (scene, caption) pairs without the held-out contents."""
    random = np.random.default_rng(seed)
    excluded = held_out()
    while True:
        scene = sample(random)
        if digest(scene) not in excluded:
            yield scene, caption(random, scene, SILENT)


if __name__ == "__main__":
    EVALUATION_FILE.write_text("".join(prompt + "\n" for _, prompt in evaluation_scenes()))
