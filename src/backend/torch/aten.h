// libtorch's tensor, to be included before any header of its ops: those of 1.13 do not parse in clang as
// C++20 unless IValue is complete by then.
#pragma once

#include <ATen/core/ivalue.h>
//
#include <ATen/core/Tensor.h>
