#include "backend/onednn/memory_pool.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "backend/block_size.h"

namespace sdxl::onednn {
namespace {

void* allocate_block(std::size_t bytes) {
    const bool huge = has_huge_pages(bytes);
    const std::size_t alignment = huge ? kHugePage : kCacheLine;
    void* block = std::aligned_alloc(alignment, round_up(bytes, alignment));
    if (block == nullptr) throw std::bad_alloc();
#ifdef __linux__
    if (huge) {
        // The last page, which it does not fill, stays an ordinary one: int8 weights would waste a tenth.
        const std::size_t whole = bytes / kHugePage * kHugePage;
        madvise(block, whole, MADV_HUGEPAGE);
        if (whole < bytes) madvise(static_cast<std::byte*>(block) + whole, kHugePage, MADV_NOHUGEPAGE);
    }
#endif
    return block;
}

}  // namespace

class PooledStorage final : public Storage {
  public:
    PooledStorage(std::shared_ptr<MemoryPool> pool, void* block, std::size_t size)
        : pool_(std::move(pool)), block_(block), size_(size) {}
    ~PooledStorage() override { pool_->give_back(block_, size_); }
    PooledStorage(const PooledStorage&) = delete;
    PooledStorage& operator=(const PooledStorage&) = delete;

    void* data() override { return block_; }
    std::size_t bytes() const override { return size_; }

  private:
    std::shared_ptr<MemoryPool> pool_;
    void* block_;
    std::size_t size_;
};

MemoryPool::~MemoryPool() {
    trim();
}

std::shared_ptr<Storage> MemoryPool::allocate(std::size_t bytes) {
    const std::size_t size =
        sizes_ == Sizes::kExact ? round_up(std::max<std::size_t>(bytes, 1), kCacheLine) : block_size(bytes);
    void* block = nullptr;
    {
        const std::lock_guard lock(mutex_);
        auto found = free_.find(size);
        if (found != free_.end() && !found->second.empty()) {
            block = found->second.back();
            found->second.pop_back();
        }
    }
    if (block == nullptr) block = allocate_block(size);
    return std::make_shared<PooledStorage>(shared_from_this(), block, size);
}

void MemoryPool::give_back(void* block, std::size_t size) {
    const std::lock_guard lock(mutex_);
    try {
        free_[size].push_back(block);
    } catch (const std::bad_alloc&) {
        std::free(block);
    }
}

void MemoryPool::trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_)
        for (void* block : blocks) std::free(block);
    free_.clear();
}

}  // namespace sdxl::onednn
