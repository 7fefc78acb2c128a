#include "protocol/report.h"

#include <algorithm>
#include <utility>

#include "protocol/sent_order.h"

namespace sdxl {
namespace {

constexpr std::size_t kMostFindings = 64;
constexpr std::size_t kMostWarnings = 64;
constexpr std::size_t kLongestPointerShown = 512;  // of a warning, in bytes

// Long names of unknown members are cut, so that warnings stay short; never inside a character.
std::string shown(std::string_view pointer) {
    if (pointer.size() <= kLongestPointerShown) return std::string(pointer);
    std::size_t end = kLongestPointerShown;
    while (end > 0 && (static_cast<unsigned char>(pointer[end]) & 0xC0U) == 0x80U) --end;
    return std::string(pointer.substr(0, end)) + "...";
}

}  // namespace

void Report::keep(Entry entry) {
    if (findings_.size() < kMostFindings) findings_.push_back(std::move(entry));
}

void Report::error(Finding finding) {
    keep({std::move(finding), false});
}

void Report::error(ErrorCode code, std::string message, std::string pointer) {
    keep({{{code, std::move(message), std::move(pointer)}, {}, ""}, false});
}

void Report::missing(std::string message, std::string pointer) {
    keep({{{ErrorCode::kInvalidRequest, std::move(message), std::move(pointer)}, {}, ""}, true});
}

bool Report::wants_warnings() const {
    return warnings_.size() < kMostWarnings;
}

void Report::warn(std::string_view pointer, std::string_view what) {
    if (!wants_warnings()) {
        ++warnings_left_out_;
        return;
    }
    warnings_.push_back(shown(pointer) + " " + std::string(what));
}

void Report::add(Report part) {
    for (Entry& entry : part.findings_) keep(std::move(entry));
    for (std::string& warning : part.warnings_) {
        if (wants_warnings())
            warnings_.push_back(std::move(warning));
        else
            ++warnings_left_out_;
    }
    warnings_left_out_ += part.warnings_left_out_;
}

std::vector<Finding> Report::findings(std::string_view line) const {
    std::vector<Finding> sorted;
    if (findings_.size() == 1) {
        sorted.push_back(findings_[0].finding);
        return sorted;
    }
    std::vector<std::string> pointers;
    for (const Entry& entry : findings_) pointers.push_back(entry.finding.error.pointer);
    const std::vector<SentPlace> places = sent_places(line, pointers);
    std::vector<std::pair<std::size_t, const Finding*>> order;
    for (std::size_t i = 0; i < findings_.size(); ++i)
        order.emplace_back(findings_[i].at_end ? places[i].end : places[i].begin, &findings_[i].finding);
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [place, finding] : order) sorted.push_back(*finding);
    return sorted;
}

std::vector<std::string> Report::warnings() const {
    std::vector<std::string> all = warnings_;
    if (warnings_left_out_ > 0)
        all.push_back("there are " + std::to_string(warnings_left_out_) + " more warnings like these");
    return all;
}

Error Report::first_of(const std::vector<Finding>& findings) {
    Error error = findings.front().error;
    const std::size_t more = findings.size() - 1;
    if (more > 0)
        error.message += " (and " + std::to_string(more) + (more == 1 ? " more error" : " more errors") +
                         "; a validate_request lists all)";
    return error;
}

}  // namespace sdxl
