// Reads a checkpoint's files ahead of the loader, so that packing weights and reading the disk overlap.
//
// A thread of its own asks the system for the files' pages in the order in which components are loaded, never
// more than a window ahead of what was consumed. Where the pages are in memory already it costs next to
// nothing.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "weights/weight_scope.h"

namespace sdxl {

class ReadAhead {
  public:
    // `maps` in the order in which they will be consumed; they must outlive this.
    explicit ReadAhead(const std::vector<const WeightMap*>& maps);
    // Stops reading and waits for the thread.
    ~ReadAhead();
    ReadAhead(const ReadAhead&) = delete;
    ReadAhead& operator=(const ReadAhead&) = delete;

    // So many bytes of all maps have been packed. Any thread.
    void consumed(std::uint64_t bytes);

  private:
    void run();

    std::vector<const WeightMap::Entry*> entries_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t consumed_ = 0;
    bool stopping_ = false;
    std::thread thread_;  // last: starts when everything above is there
};

}  // namespace sdxl
