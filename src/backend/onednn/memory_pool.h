// Memory of the oneDNN backend.
//
// Activations come and go with the same few sizes in every step: MemoryPool keeps freed blocks, so that a
// step after the first asks the system for nothing and faults no page in. Weights live for as long as the
// model and are allocated on huge-page boundaries. Threads: the pool may be used from any thread. Errors:
// std::bad_alloc.
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
    MemoryPool() = default;
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

    std::mutex mutex_;
    std::map<std::size_t, std::vector<void*>> free_;
};

// A block that is aligned to huge pages where it is large, and asks for them.
class WeightBuffer {
  public:
    explicit WeightBuffer(std::size_t bytes);
    ~WeightBuffer();
    WeightBuffer(const WeightBuffer&) = delete;
    WeightBuffer& operator=(const WeightBuffer&) = delete;

    void* data() const { return data_; }
    std::size_t bytes() const { return bytes_; }
    std::span<const std::byte> span() const { return {static_cast<const std::byte*>(data_), bytes_}; }

  private:
    std::size_t bytes_;
    void* data_;
};

}  // namespace sdxl::onednn
