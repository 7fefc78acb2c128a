"""Reads a picture of the small world without any network: the background, and each object's colour, shape, place.

The background is the one whose look lies nearest along the border. What differs from it is foreground, whose
connected parts are objects, outlined half way between background and object. An object's shape is the one whose own
rasteriser's silhouette overlaps it best, whatever the size and the place. None of it knows what was asked for.
"""
import functools
from dataclasses import dataclass

import numpy as np

import scenes

FOREGROUND = 70.0  # Euclidean distance in RGB from the background's look
SMALLEST = 90  # pixels of the smallest object
BORDER = 5


@dataclass
class Found:
    colour: str
    shape: str
    x: float
    y: float
    area: int
    radius: float  # of the best silhouette
    overlap: float  # with that, 0..1


def _distance(picture, look):
    return np.sqrt(((picture.astype(float) - look) ** 2).sum(-1))


def find_background(picture):
    """The name of the nearest look, and its mean distance along the border (the far quarter left out)."""
    frame = np.ones(picture.shape[:2], bool)
    frame[BORDER:-BORDER, BORDER:-BORDER] = False
    def far(name):
        values = np.sort(_distance(picture, scenes.background(name))[frame])
        return values[:int(0.75 * len(values))].mean()
    distances = {name: far(name) for name in (*scenes.PLAIN, *scenes.PLACES)}
    name = min(distances, key=distances.get)
    return name, distances[name]


def components(mask):
    """Lists of pixel coordinates [n, 2] (row, column) of the 4-connected parts, by joining runs of each row."""
    parents, runs, previous = [], [], []
    def root(i):
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i
    for y, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
        current = []
        for begin, end in zip(edges[::2], edges[1::2]):
            label = len(parents)
            parents.append(label)
            for other_begin, other_end, other in previous:
                if begin < other_end and other_begin < end:
                    parents[root(label)] = root(other)
            current.append((begin, end, label))
            runs.append((y, begin, end, label))
        previous = current
    groups = {}
    for y, begin, end, label in runs:
        columns = np.arange(begin, end)
        groups.setdefault(root(label), []).append(np.stack([np.full(len(columns), y), columns], 1))
    return [np.concatenate(parts) for parts in groups.values()]


# --- shapes: the generator's own silhouettes, laid over an object at every size and place -----------------------

RADII = range(6, 45)


@functools.cache
def _template(shape, radius):
    """A silhouette in the middle of a picture: its pixels' number, and its conjugate spectrum."""
    middle = scenes.SIZE / 2
    mask = scenes.coverage(scenes.Thing(shape, "red", x=middle, y=middle, radius=radius)) > 0.5
    return mask.sum(), np.fft.rfft2(mask).conj()


def find_shape(mask):
    """The shape, its radius and its overlap (intersection over union, 0..1) where these are best."""
    spectrum, area = np.fft.rfft2(mask), mask.sum()
    sized = [(shape, radius, *_template(shape, radius)) for shape in scenes.SHAPES for radius in RADII]
    most = lambda size: min(area, size) / max(area, size)  # the overlap if one lies within the other
    best = ("", 0, 0.0)
    for shape, radius, size, template in sorted(sized, key=lambda one: -most(one[2])):
        if most(size) <= best[2]:
            break
        common = np.fft.irfft2(spectrum * template, mask.shape).max()  # of every place
        overlap = common / (area + size - common)
        if overlap > best[2]:
            best = (shape, radius, float(overlap))
    return best


def _mask_of(pixels, shape):
    mask = np.zeros(shape, bool)
    mask[pixels[:, 0], pixels[:, 1]] = True
    return mask


def _outlined(picture, look, pixels):
    """The objects within a part that differs from the background: what is nearer to their colour than to it.

    The colour is that of the half of the part that differs most. An antialiased or soft outline lies where both are
    mixed in equal shares; a part found by a fixed difference is too wide where the contrast is high."""
    rows, columns = pixels.T
    strength = _distance(picture, look)[rows, columns]
    colour = np.median(picture[rows, columns][strength >= np.median(strength)], axis=0)
    near = np.zeros(look.shape[:2], bool)
    (top, left), (bottom, right) = np.maximum(pixels.min(0) - BORDER, 0), pixels.max(0) + 1 + BORDER
    around = slice(top, bottom), slice(left, right)
    near[around] = (_distance(picture, colour) < _distance(picture, look))[around]
    part = _mask_of(pixels, near.shape)
    return [found for found in components(near) if part[found[:, 0], found[:, 1]].any()]


def find_objects(picture, ground):
    look = scenes.background(ground)
    palette = np.array(list(scenes.COLOURS.values()), float)
    names = list(scenes.COLOURS)
    nearest = np.sqrt(((picture.astype(float)[:, :, None] - palette) ** 2).sum(-1)).argmin(-1)
    found = []
    for part in components(_distance(picture, look) > FOREGROUND):
        for pixels in _outlined(picture, look, part) if len(part) >= SMALLEST else ():
            if len(pixels) < SMALLEST:
                continue
            votes = np.bincount(nearest[pixels[:, 0], pixels[:, 1]], minlength=len(names))
            shape, radius, overlap = find_shape(_mask_of(pixels, look.shape[:2]))
            (top, left), (bottom, right) = pixels.min(0), pixels.max(0) + 1
            found.append(Found(names[votes.argmax()], shape, (left + right) / 2, (top + bottom) / 2, len(pixels),
                               radius, overlap))
    return sorted(found, key=lambda thing: -thing.area)


def _at(position, thing):
    """Whether a lone object stands where the prompt says: in the third of the picture that its words name."""
    words = position.split()
    low, high = scenes.SIZE * 0.42, scenes.SIZE * 0.58
    tests = {"left": thing.x < low, "right": thing.x > high, "top": thing.y < low, "bottom": thing.y > high}
    if any(not tests[word] for word in words):
        return False
    centred_x = bool({"left", "right"} & set(words)) or low <= thing.x <= high
    centred_y = bool({"top", "bottom"} & set(words)) or low <= thing.y <= high
    return centred_x and centred_y


def _related(relation, first, second):
    dx, dy = second.x - first.x, second.y - first.y
    if relation in ("left of", "right of", "and"):
        sideways = abs(dx) > abs(dy)
        return sideways and {"left of": dx > 0, "right of": dx < 0, "and": True}[relation]
    return abs(dy) > abs(dx) and (dy > 0 if relation == "above" else dy < 0)


def judge(scene, picture):
    """What of `scene` the picture [128, 128, 3] shows: name -> True or False, only for what the prompt says.

    colour and shape: of every object asked for, matched to found ones so that most is right. objects: exactly the
    things asked for, each right in both. position: of a lone object whose place is said, or the relation of two.
    """
    ground, distance = find_background(picture)
    result = {"background": ground == scene.background and distance < 40}
    found = find_objects(picture, scene.background)
    wanted = list(scene.things)
    pairs, left = [], list(found)
    for thing in wanted:
        score = lambda other: (2 * (other.colour == thing.colour) + (other.shape == thing.shape)
                               - 0.001 * np.hypot(other.x - thing.x, other.y - thing.y))
        best = max(left, key=score, default=None)
        pairs.append((thing, best))
        if best is not None:
            left.remove(best)
    result["colour"] = all(best is not None and best.colour == thing.colour for thing, best in pairs)
    result["shape"] = all(best is not None and best.shape == thing.shape for thing, best in pairs)
    result["count"] = len(found) == len(wanted)
    both = result["colour"] and result["shape"] and result["count"]
    if len(wanted) == 1:
        result["one object"] = both
        if scene.position:
            result["position"] = pairs[0][1] is not None and _at(scene.position, pairs[0][1])
        if wanted[0].size and pairs[0][1] is not None:
            radius = pairs[0][1].radius
            result["size"] = radius < 18.5 if wanted[0].size == "small" else radius > 25.5
    elif scene.relation != "row":
        result["two objects"] = both
        result["position"] = all(best is not None for _, best in pairs) and _related(
            scene.relation, pairs[0][1], pairs[1][1])
    else:
        result["row"] = both
    return result


def table(results):
    """name -> (right, asked), over many results."""
    counts = {}
    for result in results:
        for name, right in result.items():
            counts.setdefault(name, [0, 0])
            counts[name][0] += bool(right)
            counts[name][1] += 1
    return counts


def format_table(counts):
    return "\n".join(f"{name:12} {right:4} of {asked:4}  {100 * right / asked:5.1f} %"
                     for name, (right, asked) in counts.items())


if __name__ == "__main__":  # its own test: on the generator's pictures all must be right
    scored = []
    for scene, prompt in scenes.evaluation_scenes():
        scored.append(judge(scene, scenes.draw(scene)))
        if not all(scored[-1].values()):
            print(prompt, scored[-1], find_objects(scenes.draw(scene), scene.background))
    print(format_table(table(scored)))
