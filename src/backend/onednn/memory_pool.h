// Memory of the oneDNN backend.
//
// Activations come and go with the same few sizes in every step: MemoryPool keeps freed blocks, so that a
// step after the first asks the system for nothing and faults no page in. Weights have a pool of their own:
// where adapters exchange them, the new ones take the place of the old ones, since fresh pages cost more than
// what is written to them. Large blocks lie on huge-page boundaries. Threads: the pool may be used from any
// thread. Errors: std::bad_alloc.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace sdxl::onednn {

class MemoryPool : public std::enable_shared_from_this<MemoryPool> {
  public:
    enum class Sizes {
        kRounded,  // blocks fit the next user of about that size
        kExact,    // no byte is wasted
    };
    explicit MemoryPool(Sizes sizes = Sizes::kRounded) : sizes_(sizes) {}
    ~MemoryPool();
    MemoryPool(const MemoryPool&) = delete;
    MemoryPool& operator=(const MemoryPool&) = delete;

    // 64-byte aligned, not cleared. The storage returns its block to the pool.
    std::shared_ptr<Storage> allocate(std::size_t bytes);
    // Gives every block that is not in use back to the system.
    void trim();

  private:
    friend class PooledStorage;
    void give_back(void* block, std::size_t size);

    Sizes sizes_;
    std::mutex mutex_;
    std::map<std::size_t, std::vector<void*>> free_;
};

// The packed values of a weight.
class WeightBuffer {
  public:
    WeightBuffer(MemoryPool& pool, std::size_t bytes) : bytes_(bytes), storage_(pool.allocate(bytes)) {}

    void* data() const { return storage_->data(); }
    std::size_t bytes() const { return bytes_; }
    std::span<const std::byte> span() const {
        return {static_cast<const std::byte*>(storage_->data()), bytes_};
    }

  private:
    std::size_t bytes_;
    std::shared_ptr<Storage> storage_;
};

}  // namespace sdxl::onednn
