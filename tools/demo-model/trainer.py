"""Data-parallel training on a CPU: worker processes of one thread each, bf16 arithmetic, fp32 master weights.

A `job` builds modules and computes a loss; the trainer owns one flat vector of all their parameters (AdamW and the
moving average are plain vector arithmetic) and hands it to the workers through shared memory. They wait for each
other in the kernel, not in a spinning barrier, so that training beside other work slows down no more than its
share. The same seed and number of workers give the same numbers; a checkpoint holds all that is needed to go on.
"""
import csv
import multiprocessing
import os
import pathlib
import sys
import time

import torch


class FlatParameters:
    """Makes all parameters of a module (and their gradients) views of one vector; 4-d ones lie channels last."""

    def __init__(self, module, dtype):
        self.named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
        self.count = sum(p.numel() for _, p in self.named)
        self.values = torch.zeros(self.count, dtype=dtype)
        self.gradients = torch.zeros(self.count, dtype=dtype)
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


def _work(job, rank, workers, master, gradients, pipe):
    torch.set_num_threads(1)
    module = job.module
    flat = FlatParameters(module, torch.bfloat16)
    buffers = [b for b in module.parameters() if not b.requires_grad]
    for frozen in buffers:
        frozen.data = frozen.data.bfloat16()
    while True:
        step = pipe.recv()
        if step is None:
            return
        flat.values.copy_(master)
        flat.gradients.zero_()
        torch.manual_seed((job.seed * 1000003 + step) * 64 + rank)
        loss = job.loss(step, rank, workers)
        loss.backward()
        gradients[rank].copy_(flat.gradients)
        pipe.send(float(loss.detach()))


class Trainer:
    """`cooldown`: the share at the end over which the rate falls to nothing. `minutes`, if given, end the training
    early, cooled down as well: its numbers then depend on the clock."""

    def __init__(self, job, folder, workers=2, rate=1e-3, warmup=200, steps=100000, cooldown=0.2,
                 average=0.999, betas=(0.9, 0.99), minutes=None):
        self.job, self.folder, self.rate, self.warmup = job, pathlib.Path(folder), rate, warmup
        self.steps, self.cooldown, self.average, self.betas = steps, cooldown, average, betas
        self.begun, self.limit = time.time(), 60 * minutes if minutes else None
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(1)
        flat = FlatParameters(job.module, torch.float32)
        self.layout = flat
        self.master = flat.values.share_memory_()
        self.first = torch.zeros(flat.count)
        self.second = torch.zeros(flat.count)
        self.mean = self.master.clone()
        self.step = 0
        self.seconds = 0.0
        self.resume()
        self.gradients = torch.zeros(workers, flat.count).share_memory_()
        self.pipes, self.processes = [], []
        context = multiprocessing.get_context("fork")
        for rank in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, daemon=True,
                                      args=(job, rank, workers, self.master, self.gradients, theirs))
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)

    @property
    def checkpoint(self):
        return self.folder / f"{self.job.name}.pt"

    def resume(self):
        if not self.checkpoint.exists():
            return
        state = torch.load(self.checkpoint)
        for name in ("master", "first", "second", "mean"):
            getattr(self, name).copy_(state[name])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self):
        state = {name: getattr(self, name).clone() for name in ("master", "first", "second", "mean")}
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({**state, "step": self.step, "seconds": self.seconds}, partial)
        os.replace(partial, self.checkpoint)

    def averaged(self):
        """name -> tensor: the moving average of the weights."""
        return self.layout.named_tensors(self.mean)

    def left(self):
        """The share of the training that is still to come: of its steps or, if it is less, of its time."""
        of_steps = 1 - self.step / self.steps
        return min(of_steps, 1 - (time.time() - self.begun) / self.limit) if self.limit else of_steps

    def rate_now(self):
        rise = min(1.0, (self.step + 1) / self.warmup)
        return self.rate * rise * min(1.0, max(0.02, self.left() / max(1e-9, self.cooldown)))

    def advance(self):
        """One step; returns the mean loss and the norm of the gradient."""
        for pipe in self.pipes:
            pipe.send(self.step)
        loss = sum(pipe.recv() for pipe in self.pipes) / len(self.pipes)
        gradient = self.gradients.mean(0)
        norm = float(gradient.norm())
        if not norm < float("inf"):  # a step that overflowed teaches nothing
            self.step += 1
            return loss, norm
        gradient.mul_(min(1.0, 1.0 / (norm + 1e-6)))
        a, b = self.betas
        self.first.mul_(a).add_(gradient, alpha=1 - a)
        self.second.mul_(b).addcmul_(gradient, gradient, value=1 - b)
        t = self.step + 1
        bottom = (self.second / (1 - b**t)).sqrt_().add_(1e-8)
        self.master.addcdiv_(self.first, bottom, value=-self.rate_now() / (1 - a**t))
        decay = min(self.average, (1 + self.step) / (10 + self.step))
        self.mean.lerp_(self.master, 1 - decay)
        self.step += 1
        return loss, norm

    def run(self, until_step=None, save_every_s=60, report=None, report_every_s=300):
        """Trains to the last step. `report(trainer)` is called now and then; losses go to <name>.csv."""
        log = open(self.folder / f"{self.job.name}.csv", "a", newline="")
        writer = csv.writer(log)
        terminal = sys.stderr.isatty()
        last = saved = reported = time.time()
        losses = []
        while self.left() > 0 and self.step < (until_step or self.steps):
            loss, norm = self.advance()
            now = time.time()
            self.seconds, last = self.seconds + now - last, now
            losses.append(loss)
            if self.step % 20 == 0:
                writer.writerow([self.step, f"{self.seconds:.1f}", f"{sum(losses) / len(losses):.5f}",
                                 f"{norm:.4f}", f"{self.rate_now():.6f}"])
                log.flush()
                if terminal:
                    print(f"\r{self.job.name} {self.step}/{self.steps} loss {sum(losses) / len(losses):.4f}",
                          end="", file=sys.stderr)
                losses = []
            if now - saved > save_every_s:
                self.save()
                saved = time.time()
            if report and now - reported > report_every_s:
                report(self)
                reported = last = time.time()
        self.save()
        if report:
            report(self)
        for pipe in self.pipes:
            pipe.send(None)
