#include "transport/line_decoder.h"

#include <utility>

namespace sdxl {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool blank(std::string_view line) {
    return line.find_first_not_of(" \t\r\n\v\f") == std::string_view::npos;
}

}  // namespace

// Forgets the first bytes; moves what is left to the front only when that is little beside what was there.
void LineDecoder::forget(std::size_t bytes) {
    begin_ += bytes;
    scanned_ = begin_;
    if (begin_ * 2 < buffer_.size()) return;
    buffer_.erase(0, begin_);
    begin_ = scanned_ = 0;
}

// The line that ends before `end`. Absent for one that needs no answer.
std::optional<Result<std::string>> LineDecoder::take(std::size_t end) {
    std::string line = buffer_.substr(begin_, end - begin_);
    forget(std::min(end + 1, buffer_.size()) - begin_);
    const bool first = std::exchange(first_line_, false);
    if (std::exchange(too_long_, false) || line.size() > max_line_bytes_)
        return Error{ErrorCode::kInvalidRequest,
                     "the line is longer than " + std::to_string(max_line_bytes_) +
                         " bytes: send large pictures as files",
                     ""};
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (first && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (blank(line)) return std::nullopt;
    return Result<std::string>(std::move(line));
}

std::optional<Result<std::string>> LineDecoder::next() {
    while (true) {
        const std::size_t end = buffer_.find('\n', scanned_);
        if (end != std::string::npos) {
            if (auto line = take(end)) return line;
            continue;
        }
        scanned_ = buffer_.size();
        if (buffer_.size() - begin_ > max_line_bytes_) {
            too_long_ = true;
            forget(buffer_.size() - begin_);
        }
        if (!ended_ || (buffer_.size() == begin_ && !too_long_)) return std::nullopt;
        return take(buffer_.size());
    }
}

}  // namespace sdxl
