#include "fixture.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <limits>

namespace sdxl::golden {

nlohmann::json load_fixture(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw FixtureError("cannot be opened");
    try {
        return nlohmann::json::parse(file);
    } catch (const nlohmann::json::exception& error) {
        throw FixtureError(std::string("is not JSON: ") + error.what());
    }
}

std::vector<double> numbers(const nlohmann::json& object, const std::string& key) {
    try {
        return object.at(key).get<std::vector<double>>();
    } catch (const nlohmann::json::exception& error) {
        throw FixtureError("\"" + key + "\" is not a list of numbers: " + error.what());
    }
}

double relative_error(std::span<const float> found, std::span<const double> expected) {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    if (found.size() < expected.size()) return kInfinite;
    double worst = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double error =
            std::abs(static_cast<double>(found[i]) - expected[i]) / std::max(1.0, std::abs(expected[i]));
        worst = std::isnan(error) ? kInfinite : std::max(worst, error);
    }
    return worst;
}

}  // namespace sdxl::golden
