// Weights by name, with an account of what was used.
//
// `WeightMap` is one component's tensors under their canonical (diffusers) names, whatever layout the file
// had. `WeightScope` is a place in it ("down_blocks.0.resnets.1"); a module's constructor looks its tensors
// up once. Views point into mapped files that the map keeps open. Threads: build and read from one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/host_view.h"

namespace sdxl {

// Something that keeps the bytes behind views alive, and can give their pages back to the system.
class WeightBytes {
  public:
    virtual ~WeightBytes() = default;
    virtual const std::string& path() const = 0;
    // The range's pages are not needed soon: they leave resident memory and come back from the file on
    // demand.
    virtual void release(const std::byte* data, std::size_t bytes) const = 0;
    // The range is read soon: the system may start to fetch it. Any thread.
    virtual void will_need(const std::byte* data, std::size_t bytes) const = 0;
};

class WeightMap {
  public:
    // Told after every tensor that is taken; may throw Failure to cancel a load.
    using Observer = std::function<void(std::uint64_t bytes_done, std::uint64_t bytes_total)>;

    struct Entry {
        HostView view;  // view.name is the name in the file
        std::shared_ptr<const WeightBytes> bytes;
        mutable bool used = false;
    };

    // `component` is for messages: "unet", "vae", "text_encoder", "text_encoder_2".
    explicit WeightMap(std::string component) : component_(std::move(component)) {}

    const std::string& component() const { return component_; }
    // Fails with kInvalidModel if the canonical name is there already.
    void insert(std::string canonical, HostView view, std::shared_ptr<const WeightBytes> bytes);
    const Entry* find(std::string_view canonical) const;
    const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
    // File names of tensors that no module asked for.
    std::vector<std::string> unused() const;
    std::uint64_t total_bytes() const { return total_bytes_; }
    // The file that messages name: where the first tensor stands.
    std::string source() const;

    void set_observer(Observer observer) { observer_ = std::move(observer); }
    // Until cleared, scopes are given `view` in place of the tensor's own; whoever owns its bytes keeps them
    // so long. REQUIRES: the tensor is there, and the view has its shape.
    void stand_in(const std::string& canonical, HostView view);
    void clear_stand_ins() { stand_ins_.clear(); }
    const HostView* find_stand_in(std::string_view canonical) const;

    // Marks the entry as used and, the first time, tells the observer.
    void took(const Entry& entry) const;

  private:
    std::string component_;
    std::map<std::string, Entry, std::less<>> entries_;
    std::uint64_t total_bytes_ = 0;
    mutable std::uint64_t used_bytes_ = 0;
    std::map<std::string, HostView, std::less<>> stand_ins_;
    Observer observer_;
};

class WeightScope {
  public:
    explicit WeightScope(const WeightMap& map) : map_(&map) {}

    // The scope below: scope.sub("resnets", 1) is "<here>.resnets.1".
    WeightScope sub(std::string_view name) const;
    WeightScope sub(std::string_view name, int index) const;

    // Full canonical name of a tensor here.
    std::string path(std::string_view name) const;
    bool has(std::string_view name) const;
    // The tensor, marked as used. Fails with kInvalidModel, naming file, tensor, expected and found shape, if
    // it is missing, has another shape, or is not floating point.
    HostView get(std::string_view name, const Shape& expected) const;
    // The same for a tensor that need not be there: an empty view if it is not.
    HostView get_optional(std::string_view name, const Shape& expected) const;
    // After the values were copied or packed: the file's pages may leave memory. Unknown names are ignored.
    void release(std::string_view name) const;

  private:
    WeightScope(const WeightMap& map, std::string prefix) : map_(&map), prefix_(std::move(prefix)) {}

    const WeightMap* map_;
    std::string prefix_;  // "" or ends in '.'
};

// Values of a floating-point view as float32; none for an empty view. Fails with kInvalidModel for other
// element types.
std::vector<float> to_f32(const HostView& view);

}  // namespace sdxl
