#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/version.h>

#include <utility>

#include "backend/torch/cuda.h"
#include "backend/torch/errors.h"
#include "backend/torch/tensors.h"

namespace sdxl::torch {
namespace {

// A CUDA graph with a pool of memory of its own.
class CudaRecording final : public Recording {
  public:
    CudaRecording(const c10::Device& device, const c10::cuda::CUDAStream& stream,
                  std::function<Tensor()> work)
        : device_(device) {
        const c10::cuda::CUDAStreamGuard guard(stream);
        const auto pool = at::cuda::graph_pool_handle();
        begin(pool);
        try {
            result_ = work();
        } catch (...) {
            abandon(pool);
            throw;
        }
        try {
            graph_.capture_end();
        } catch (...) {
            leave(pool);
            throw;
        }
    }

    Tensor replay() override {
        guarded("replaying a step", device_, [&] {
            const c10::cuda::CUDAGuard guard(device_);
            graph_.replay();
        });
        return result_;
    }

  private:
    using Pool = decltype(at::cuda::graph_pool_handle());

    // Other threads may go on with other devices meanwhile, where libtorch lets them.
    void begin(const Pool& pool) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
        graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
#else
        graph_.capture_begin(pool);
#endif
    }

    // After an error in between; the stream must not go on recording.
    void abandon(const Pool& pool) noexcept {
        try {
            graph_.capture_end();
        } catch (...) {
            leave(pool);
        }
    }

    // capture_end() leaves the allocator in the pool where the recording is invalid.
    void leave([[maybe_unused]] const Pool& pool) noexcept {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
        try {
            c10::cuda::CUDACachingAllocator::endAllocateToPool(device_.index(), pool);
            c10::cuda::CUDACachingAllocator::releasePool(device_.index(), pool);
        } catch (...) {  // it had left
        }
#endif
    }

    c10::Device device_;
    at::cuda::CUDAGraph graph_;
    Tensor result_;
};

class CudaRecorder final : public Recorder {
  public:
    explicit CudaRecorder(const c10::Device& device)
        : device_(device), stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

    void copy(const Tensor& from, const Tensor& to) override {
        guarded("copy", device_, [&] { to_torch(to).copy_(to_torch(from), /*non_blocking=*/true); });
    }

    // Not on the stream that everything else is on: libtorch records on no other. What runs there ends first.
    std::unique_ptr<Recording> record(std::function<Tensor()> work) override {
        return guarded("recording a step", device_, [&]() -> std::unique_ptr<Recording> {
            const c10::cuda::CUDAGuard guard(device_);
            C10_CUDA_CHECK(cudaDeviceSynchronize());
            return std::make_unique<CudaRecording>(device_, stream_, std::move(work));
        });
    }

  private:
    c10::Device device_;
    c10::cuda::CUDAStream stream_;
};

}  // namespace

std::unique_ptr<Recorder> make_cuda_recorder(const c10::Device& device) {
    if (!device.is_cuda()) return nullptr;
    return std::make_unique<CudaRecorder>(device);
}

}  // namespace sdxl::torch
