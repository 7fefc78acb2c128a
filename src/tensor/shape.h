// The extents of a tensor, outermost first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace sdxl {

class Shape {
  public:
    Shape() = default;
    Shape(std::initializer_list<std::int64_t> dims) : dims_(dims) {}
    explicit Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {}

    std::size_t rank() const { return dims_.size(); }
    // Negative indices count from the end: shape[-1] is the innermost extent.
    std::int64_t operator[](int axis) const {
        return dims_[axis < 0 ? dims_.size() - static_cast<std::size_t>(-axis)
                              : static_cast<std::size_t>(axis)];
    }
    const std::vector<std::int64_t>& dims() const { return dims_; }
    std::int64_t numel() const {
        std::int64_t count = 1;
        for (const auto dim : dims_) count *= dim;
        return count;
    }
    // Rows of the innermost extent: numel() / shape[-1].
    std::int64_t rows() const {
        std::int64_t count = 1;
        for (std::size_t i = 0; i + 1 < dims_.size(); ++i) count *= dims_[i];
        return count;
    }
    std::string str() const {
        std::string text = "[";
        for (std::size_t i = 0; i < dims_.size(); ++i) text += (i ? ", " : "") + std::to_string(dims_[i]);
        return text + "]";
    }
    bool operator==(const Shape&) const = default;

  private:
    std::vector<std::int64_t> dims_;
};

}  // namespace sdxl
