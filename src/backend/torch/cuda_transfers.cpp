#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <array>

#include "backend/torch/cuda.h"

namespace sdxl::torch {
namespace {

class CudaTransfers final : public Transfers {
  public:
    explicit CudaTransfers(const c10::Device& device)
        : device_(device), own_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index())) {}

    void bring(const std::function<void()>& make, std::initializer_list<const at::Tensor*> results) override {
        const c10::cuda::CUDAGuard guard(device_);
        const c10::cuda::CUDAStream computing = c10::cuda::getCurrentCUDAStream(device_.index());
        // What was asked for before the weight before the last.
        at::cuda::CUDAEvent& reached = reached_[next_];
        next_ = (next_ + 1) % reached_.size();
        if (reached.isCreated()) reached.synchronize();
        reached.record(computing);
        {
            const c10::cuda::CUDAStreamGuard stream(own_);
            make();
            there_.record(own_);
        }
        there_.block(computing);
        // Its memory is not given to another weight before what computes with it is done.
        for (const at::Tensor* result : results)
            if (result->defined())
                c10::cuda::CUDACachingAllocator::recordStream(result->storage().data_ptr(), computing);
    }

  private:
    c10::Device device_;
    c10::cuda::CUDAStream own_;
    at::cuda::CUDAEvent there_;
    std::array<at::cuda::CUDAEvent, 2> reached_;  // of what is computed
    std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Transfers> make_cuda_transfers(const c10::Device& device) {
    if (!device.is_cuda()) return nullptr;
    return std::make_unique<CudaTransfers>(device);
}

}  // namespace sdxl::torch
