// Our tensors as libtorch's and back, and weights' bytes on their way to a device.
//
// A Tensor of this backend is a storage that holds an at::Tensor, row-major and without gaps. Nothing here
// computes with addresses: on some devices they are handles.
#pragma once

#include <span>
#include <vector>

#include "backend/torch/aten.h"
#include "tensor/host_view.h"
#include "tensor/tensor.h"

namespace sdxl::torch {

// Fails with kInternal for what no network computes in.
at::ScalarType scalar_type(DType dtype);

// A view with x's extents, column slices included. Fails with kInternal for another backend's tensor.
at::Tensor to_torch(const Tensor& x);
// Takes `values` over, brought into row-major order if they are not.
Tensor from_torch(const at::Tensor& values);

// Copies; values.size() is the product of the extents.
at::Tensor upload(std::span<const float> values, const Shape& shape, at::ScalarType type,
                  const at::Device& device);
// Several weights one below the other, with their edits, on the device. The first extent of the views may
// differ.
at::Tensor upload(std::span<const HostView> views, at::ScalarType type, const at::Device& device);
// As they are in the file, widened to float32 in host memory; without the view's edit.
void widen(const HostView& view, std::span<float> values);

std::vector<float> download(const at::Tensor& x);

}  // namespace sdxl::torch
