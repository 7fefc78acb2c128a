// Reading golden files, and measuring how far two lists of numbers are apart.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace sdxl::golden {

// A golden file that is not there or not of the known form; the program then ends with status 2.
class FixtureError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

nlohmann::json load_fixture(const std::string& path);

// A list of numbers under `key`; a missing or other value is a FixtureError that names it.
std::vector<double> numbers(const nlohmann::json& object, const std::string& key);

// The greatest |found - expected| / max(1, |expected|) over the expected values; infinite where there are
// fewer found ones or one is not a number.
double relative_error(std::span<const float> found, std::span<const double> expected);

}  // namespace sdxl::golden
