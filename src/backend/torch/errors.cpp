#include "backend/torch/errors.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <new>
#include <string>
#include <string_view>

#include "core/error.h"

namespace sdxl::torch {
namespace {

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

// Allocators that do not throw OutOfMemoryError say it in words: the host's, cuBLAS, cuDNN, DirectML.
bool tells_of_memory(const std::string& message) {
    constexpr std::array<std::string_view, 5> kWords{"out of memory", "allocate memory", "not enough memory",
                                                     "could not allocate", "alloc_failed"};
    std::string lower = message;
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return std::ranges::any_of(
        kWords, [&](std::string_view words) { return lower.find(words) != std::string::npos; });
}

[[noreturn]] void fail_in(ErrorCode code, const char* op, const c10::Device& device,
                          const std::string& message) {
    if (code == ErrorCode::kOutOfMemory) {
        fail(code, device.str() + " has not the memory that " + op +
                       " needs: ask for a smaller picture or free memory on it (" + first_line(message) +
                       ")");
    }
    fail(code, std::string("libtorch failed in ") + op + " on " + device.str() + ": " + first_line(message));
}

}  // namespace

void translate_current(const char* op, const c10::Device& device) {
    try {
        throw;
    } catch (const Failure&) {
        throw;
    } catch (const c10::OutOfMemoryError& error) {
        fail_in(ErrorCode::kOutOfMemory, op, device, error.what_without_backtrace());
    } catch (const c10::Error& error) {
        const std::string message = error.what_without_backtrace();
        fail_in(tells_of_memory(message) ? ErrorCode::kOutOfMemory : ErrorCode::kInternal, op, device,
                message);
    } catch (const std::bad_alloc& error) {
        fail_in(ErrorCode::kOutOfMemory, op, device, error.what());
    } catch (const std::exception& error) {
        fail_in(tells_of_memory(error.what()) ? ErrorCode::kOutOfMemory : ErrorCode::kInternal, op, device,
                error.what());
    } catch (...) {
        fail_in(ErrorCode::kInternal, op, device, "an exception of unknown type");
    }
}

}  // namespace sdxl::torch
