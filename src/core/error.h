// Errors that are expected to happen: a bad request, a broken file, a cancelled generation, no memory.
//
// Every such error has a code from the one list below and a message for a person that says what was expected,
// what was found and what to do. Deep code (weights, networks, pipeline) throws `Failure`; the seams
// (protocol, worker, engine) carry `Result`. Library code never exits, aborts or prints.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace sdxl {

enum class ErrorCode {
    kInvalidRequest,    // the request itself: JSON, a field, a range
    kUnsupported,       // understood, but not available in this worker
    kNotFound,          // a model, file or folder that is not there
    kInvalidModel,      // a model file that is broken or not SDXL
    kOutOfMemory,       // does not fit, at planning or at run time
    kCancelled,         // the caller or the shutdown stopped it
    kDeadlineExceeded,  // its timeout ran out
    kQueueFull,         // too much is waiting already
    kIo,                // reading or writing failed
    kInternal,          // a defect of ours
};

// The stable name that answers carry as `error_code`, e.g. "invalid_request".
std::string_view error_code_name(ErrorCode code);

struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string pointer;  // JSON pointer into what was sent, "" where there is no culprit

    // The message behind the pointer, for readers who are shown nothing else.
    std::string text() const { return pointer.empty() ? message : pointer + ": " + message; }
};

// An `Error` in flight.
class Failure : public std::runtime_error {
  public:
    explicit Failure(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
    const Error& error() const { return error_; }

  private:
    Error error_;
};

[[noreturn]] void fail(ErrorCode code, std::string message, std::string pointer = "");

// The error inside the exception being handled; call only from a catch block. bad_alloc becomes kOutOfMemory,
// any other foreign exception kInternal.
Error current_error();

// A value, or the reason why there is none.
template <class T>
class Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool ok() const { return state_.index() == 0; }
    explicit operator bool() const { return ok(); }
    T& value() { return std::get<0>(state_); }
    const T& value() const { return std::get<0>(state_); }
    const Error& error() const { return std::get<1>(state_); }
    T& operator*() { return value(); }
    const T& operator*() const { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

  private:
    std::variant<T, Error> state_;
};

}  // namespace sdxl
