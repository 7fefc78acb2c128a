"""Trains a job in bf16 arithmetic (where the CPU has it) with fp32 master weights, on CPU cores or an accelerator.

A `Job` has modules, picks batches and computes a loss. The trainer owns one flat vector of all parameters: Adam, Muon
(for matrices) and the moving average work on that. On a CPU, worker processes of one thread each compute gradients of
their shares; they wait for each other in the kernel, not in a spinning barrier, so that training beside other work
slows down no more than its share. On CUDA, forward and backward are recorded once as a graph and replayed. The same
seed, device and number of workers give the same numbers; a checkpoint holds all that is needed to go on.
"""
import concurrent.futures
import csv
import functools
import multiprocessing
import os
import pathlib
import sys
import time

import torch


@functools.lru_cache
def arithmetic(device):
    """bf16, but on a CPU that only emulates it."""
    if torch.device(device).type != "cpu":
        return torch.bfloat16
    cpu = pathlib.Path("/proc/cpuinfo")
    return torch.bfloat16 if cpu.exists() and "avx512_bf16" in cpu.read_text() else torch.float32


class Job:
    """Derived: `name`, `module` (trained where its parameters require gradients), `seed`, `device`."""

    def pick(self, random, step):
        """A batch, as a tuple of tensors on the device. `random`: a torch.Generator of the device."""
        raise NotImplementedError

    def loss(self, *batch):
        """Reads nothing back from the device and draws no random numbers, so that it can be recorded."""
        raise NotImplementedError

    @property
    def dtype(self):
        return arithmetic(self.device)

    def given_as(self, picture):
        """As networks take it."""
        return picture.to(self.dtype).contiguous(memory_format=torch.channels_last)

    def random(self, step, rank=0):
        return torch.Generator(self.device).manual_seed((self.seed * 1000003 + step) * 64 + rank)


class FlatParameters:
    """Makes all parameters of a module (and their gradients) views of one vector; 4-d ones lie channels last."""

    def __init__(self, module, dtype):
        self.named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.count = sum(p.numel() for _, p in self.named)
        device = self.named[0][1].device
        self.values = torch.zeros(self.count, dtype=dtype, device=device)
        self.gradients = torch.zeros(self.count, dtype=dtype, device=device)
        for _, parameter, begin, end in self.slices():
            view = self._shaped(self.values[begin:end], parameter.shape)
            view.copy_(parameter.data)
            parameter.data = view
            parameter.grad = self._shaped(self.gradients[begin:end], parameter.shape)

    def slices(self):
        begin = 0
        for name, parameter in self.named:
            yield name, parameter, begin, begin + parameter.numel()
            begin += parameter.numel()

    @staticmethod
    def _shaped(vector, shape):
        if len(shape) != 4:
            return vector.view(shape)
        return vector.view(shape[0], shape[2], shape[3], shape[1]).permute(0, 3, 1, 2)

    def named_tensors(self, vector):
        return {name: self._shaped(vector[begin:end], p.shape) for name, p, begin, end in self.slices()}


def _compute_copy(module, dtype):
    """The trained parameters as one vector; what is frozen is converted in place."""
    flat = FlatParameters(module, dtype)
    for frozen in module.parameters():
        if not frozen.requires_grad:
            frozen.data = frozen.data.to(dtype)
    return flat


def _work(job, rank, master, gradients, pipe):
    torch.set_num_threads(1)
    flat = _compute_copy(job.module, job.dtype)
    while True:
        step = pipe.recv()
        if step is None:
            return
        flat.values.copy_(master)
        flat.gradients.zero_()
        loss = job.loss(*job.pick(job.random(step, rank), step))
        loss.backward()
        gradients[rank].copy_(flat.gradients)
        pipe.send(float(loss.detach()))


class Processes:
    """Gradients by worker processes on the CPU; `master` lies in shared memory."""

    def __init__(self, job, master, workers):
        self.gradients = torch.zeros(workers, len(master)).share_memory_()
        self.pipes = []
        context = multiprocessing.get_context("fork")
        for rank in range(workers):
            ours, theirs = context.Pipe()
            context.Process(target=_work, daemon=True, args=(job, rank, master, self.gradients, theirs)).start()
            self.pipes.append(ours)

    def gradient(self, step):
        """-> loss and gradient, float32."""
        for pipe in self.pipes:
            pipe.send(step)
        loss = sum(pipe.recv() for pipe in self.pipes) / len(self.pipes)
        return torch.tensor(loss), self.gradients.mean(0)

    def close(self):
        for pipe in self.pipes:
            pipe.send(None)


class Recorded:
    """Gradients on a CUDA device: one graph for each shape of batch."""

    def __init__(self, job, master):
        self.job, self.master = job, master
        self.flat = _compute_copy(job.module, job.dtype)
        self.graphs = {}

    def _backward(self, batch):
        self.flat.gradients.zero_()
        loss = self.job.loss(*batch)
        loss.backward()
        return loss.detach()

    def _record(self, batch):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries choose their algorithms and take their memory before the recording
            for _ in range(3):
                self._backward(batch)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph):
                loss = self._backward(batch)
        except RuntimeError as error:
            print(f"{self.job.name}: not recorded, so slower: {error}", file=sys.stderr)
            return None, batch, None
        return graph, batch, loss

    def gradient(self, step):
        self.flat.values.copy_(self.master)
        batch = self.job.pick(self.job.random(step), step)
        key = tuple(part.shape for part in batch)
        if key not in self.graphs:
            self.graphs[key] = self._record(batch)
        graph, buffers, loss = self.graphs[key]
        if graph is None:
            return self._backward(batch), self.flat.gradients.float()
        for buffer, part in zip(buffers, batch):
            buffer.copy_(part)
        graph.replay()
        return loss, self.flat.gradients.float()

    def close(self):
        self.graphs.clear()


def orthogonal(matrices, steps=5):
    """[K, M, N], M <= N: each with its singular values brought near 1, by Newton and Schulz's iteration with the
    coefficients of Jordan et al. (Muon, 2024), on the Gram matrices, which are smaller than the matrices."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT
    total = None  # the product of all factors, which are polynomials of the first Gram matrix and so commute
    for i in range(steps):
        factor = 2.0315 * (gram @ gram) - 4.7750 * gram
        factor.diagonal(dim1=1, dim2=2).add_(3.4445)
        total = factor if total is None else factor @ total
        if i + 1 < steps:
            gram = factor @ (factor @ gram)
    return total @ x


class Matrices:
    """What of a layout are matrices (convolutions, too: [outputs, all else]), for Muon. Embeddings, the first and the
    last convolutions and all that is narrow are not: these learn by Adam."""
    NARROWEST = 32
    SPREAD = 0.2  # root mean square of an update, as Adam's are, so that one rate serves both (Liu et al., 2025)
    TOGETHER = 16

    def __init__(self, layout, threads):
        groups = {}
        for name, parameter, begin, end in layout.slices():
            shape = (parameter.shape[0], (end - begin) // parameter.shape[0])
            if min(shape) >= self.NARROWEST and not any(part in name for part in ("embeddings", "conv_in", "conv_out")):
                groups.setdefault(shape, []).append(slice(begin, end))
        self.groups = [(shape, slices[i:i + self.TOGETHER]) for shape, slices in groups.items()
                       for i in range(0, len(slices), self.TOGETHER)]
        self.pool = concurrent.futures.ThreadPoolExecutor(threads)

    def direct(self, momentum, updates):
        """Writes the direction of each matrix of a flat vector into that of updates."""
        def work(group):
            (rows, columns), slices = group
            stacked = torch.stack([momentum[at].view(rows, columns) for at in slices])
            found = orthogonal(stacked.mT).mT if rows > columns else orthogonal(stacked)
            found = found * (self.SPREAD * max(rows, columns) ** 0.5)
            for at, direction in zip(slices, found):
                updates[at] = direction.flatten()
        for _ in self.pool.map(work, self.groups):
            pass


class Trainer:
    """`cooldown`: the share at the end over which the rate falls to nothing. `minutes`, if given, end the training
    early, cooled down as well: its numbers then depend on the clock."""

    def __init__(self, job, folder, workers=2, rate=1e-3, warmup=200, steps=100000, cooldown=0.3,
                 average=0.999, betas=(0.9, 0.99), minutes=None):
        self.job, self.folder, self.rate, self.warmup = job, pathlib.Path(folder), rate, warmup
        self.steps, self.cooldown, self.average, self.betas = steps, cooldown, average, betas
        self.begun, self.limit = time.time(), 60 * minutes if minutes else None
        self.folder.mkdir(parents=True, exist_ok=True)
        on_cpu = torch.device(job.device).type == "cpu"
        if on_cpu:
            torch.set_num_threads(1)
        job.module.to(job.device)
        self.layout = FlatParameters(job.module, torch.float32)
        self.master = self.layout.values.share_memory_() if on_cpu else self.layout.values
        self.first, self.second = torch.zeros_like(self.master), torch.zeros_like(self.master)
        self.mean = self.master.clone()
        self.matrices = Matrices(self.layout, workers if on_cpu else 1)
        self.step = 0
        self.seconds = 0.0
        self.resume()
        self.source = Processes(job, self.master, workers) if on_cpu else Recorded(job, self.master)
        if on_cpu:
            torch.set_num_threads(workers)  # of this process, while its workers wait

    @property
    def checkpoint(self):
        return self.folder / f"{self.job.name}.pt"

    def resume(self):
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint, map_location="cpu")
        for name in ("master", "first", "second", "mean"):
            getattr(self, name).copy_(state[name])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self):
        state = {name: getattr(self, name).cpu().clone() for name in ("master", "first", "second", "mean")}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({**state, "step": self.step, "seconds": self.seconds}, partial)
        os.replace(partial, self.checkpoint)

    def averaged(self):
        """name -> tensor: the moving average of the weights."""
        return self.layout.named_tensors(self.mean.cpu())

    def left(self):
        """The share of the training that is still to come: of its steps or, if it is less, of its time."""
        of_steps = 1 - self.step / self.steps
        return min(of_steps, 1 - (time.time() - self.begun) / self.limit) if self.limit else of_steps

    def rate_now(self):
        rise = min(1.0, (self.step + 1) / self.warmup)
        return self.rate * rise * min(1.0, max(0.02, self.left() / max(1e-9, self.cooldown)))

    def advance(self):
        """One step; returns the loss and the norm of the gradient, on the device."""
        loss, gradient = self.source.gradient(self.step)
        norm = gradient.norm()
        scale = (1.0 / (norm + 1e-6)).clamp(max=1.0)
        gradient = torch.where(torch.isfinite(norm), gradient * scale, torch.zeros_like(gradient))  # overflowed: none
        a, b = self.betas
        self.first.mul_(a).add_(gradient, alpha=1 - a)
        self.second.mul_(b).addcmul_(gradient, gradient, value=1 - b)
        t = self.step + 1
        update = self.first / (self.second / (1 - b**t)).sqrt_().add_(1e-8) / (1 - a**t)
        self.matrices.direct(self.first, update)
        self.master.add_(update, alpha=-self.rate_now())
        decay = min(self.average, (1 + self.step) / (10 + self.step))
        self.mean.lerp_(self.master, 1 - decay)
        self.step += 1
        return loss, norm

    def run(self, save_every_s=60):
        """Trains to the last step. Losses go to <name>.csv: step, seconds, mean loss, norm, rate."""
        log = open(self.folder / f"{self.job.name}.csv", "a", newline="")
        writer = csv.writer(log)
        last = saved = time.time()
        total, count = 0.0, 0
        while self.left() > 0 and self.step < self.steps:
            loss, norm = self.advance()
            total, count = total + loss, count + 1
            if self.step % 20 == 0:
                mean = float(total) / count  # waits for the device
                now = time.time()
                self.seconds, last = self.seconds + now - last, now
                writer.writerow([self.step, f"{self.seconds:.1f}", f"{mean:.5f}", f"{float(norm):.4f}",
                                 f"{self.rate_now():.6f}"])
                log.flush()
                if sys.stderr.isatty():
                    print(f"\r{self.job.name} {self.step}/{self.steps} loss {mean:.4f}", end="", file=sys.stderr)
                total, count = 0.0, 0
                if now - saved > save_every_s:
                    self.save()
                    saved = time.time()
        self.seconds += time.time() - last
        self.save()
        self.source.close()


def load_averaged(module, path):
    """Gives a module's trained parameters the moving average of a checkpoint, which it returns."""
    state = torch.load(path, map_location="cpu")
    FlatParameters(module, torch.float32).values.copy_(state["mean"])
    return state


def add_options(parser, steps):
    """What every training script takes."""
    parser.add_argument("--folder", required=True, help="checkpoints, logs and the training set")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--minutes", type=float, help="end by then, cooled down, whatever the steps")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=2, help="processes, on a CPU")
    parser.add_argument("--batch", type=int, help="samples a step (on a CPU, of each worker); default as on a CPU")


def train(job, options, **how):
    trainer = Trainer(job, options.folder, options.workers, steps=options.steps, minutes=options.minutes, **how)
    trainer.run()
    return trainer
