#include "backend/onednn/memory_pool.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "backend/block_size.h"

namespace sdxl::onednn {
namespace {

#ifdef __linux__
// Larger blocks are mapped by themselves: what is given back leaves the process at once, and no other block
// comes to lie where huge pages were asked for.
constexpr std::size_t kMapped = std::size_t{256} << 10;

void* map_block(std::size_t bytes) {
    const std::size_t size = round_up(bytes, kPage);
    const bool huge = has_huge_pages(bytes);
    const std::size_t reserved = huge ? size + kHugePage : size;
    void* const place = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) throw std::bad_alloc();
    if (!huge) return place;
    auto* const begin = static_cast<std::byte*>(place);
    const std::size_t before = round_up(reinterpret_cast<std::uintptr_t>(begin), kHugePage) -
                               reinterpret_cast<std::uintptr_t>(begin);
    if (before > 0) ::munmap(begin, before);
    if (before < kHugePage) ::munmap(begin + before + size, kHugePage - before);
    // The last page, which it does not fill, stays an ordinary one: int8 weights would waste a tenth.
    ::madvise(begin + before, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
    return begin + before;
}
#endif

void* allocate_block(std::size_t bytes) {
#ifdef __linux__
    if (bytes >= kMapped) return map_block(bytes);
#endif
    void* block = std::aligned_alloc(kCacheLine, round_up(bytes, kCacheLine));
    if (block == nullptr) throw std::bad_alloc();
    return block;
}

void free_block(void* block, std::size_t bytes) {
#ifdef __linux__
    if (bytes >= kMapped) {
        ::munmap(block, round_up(bytes, kPage));
        return;
    }
#endif
    std::free(block);
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
        free_block(block, size);
    }
}

void MemoryPool::trim() {
    const std::lock_guard lock(mutex_);
    for (auto& [size, blocks] : free_)
        for (void* block : blocks) free_block(block, size);
    free_.clear();
}

}  // namespace sdxl::onednn
