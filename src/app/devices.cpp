#include "app/devices.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/log.h"
#include "device/cpu_device.h"
#include "device/device_manager.h"

namespace sdxl {
namespace {

using Json = nlohmann::ordered_json;
using Row = std::vector<std::string>;

std::string number_text(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

std::string gigabytes(std::uint64_t bytes) {
    constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;
    return bytes == 0 ? "?" : number_text(static_cast<double>(bytes) / kGiB, 1) + " GiB";
}

std::string sixteen_bit_types(const DeviceInfo& device) {
    if (device.bfloat16 && device.float16) return "bf16 fp16";
    if (device.bfloat16) return "bf16";
    return device.float16 ? "fp16" : "-";
}

std::string rate(double value) {
    char text[64];
    std::snprintf(text, sizeof text, "%.3g", value);
    return value > 0 ? text : "-";
}

Row row_of(const DeviceState& device, bool rated) {
    const DeviceInfo& info = device.info;
    Row row = {info.id,
               device_label(info),
               info.backend,
               gigabytes(info.memory.total_bytes),
               gigabytes(info.memory.available_bytes),
               sixteen_bit_types(info),
               info.int8_weights ? "yes" : "-",
               number_text(device.score, 1)};
    if (rated) {
        const DeviceRates rates = device.rates.value_or(DeviceRates{});
        for (const double value : {rates.float32_tflops, rates.sixteen_tflops, rates.int8_tflops})
            row.push_back(rate(value));
        row.push_back(rate(rates.bandwidth_gb_s));
    }
    row.push_back(info.capability.empty() ? "-" : info.capability);
    row.push_back(device.fault.empty() ? "well" : device.fault);
    return row;
}

void print_table(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
        }
        std::printf("%s\n", line.c_str());
    }
}

Json json_of(const DeviceState& device) {
    const DeviceInfo& info = device.info;
    Json one = {{"device", info.id},
                {"name", device_label(info)},
                {"type", info.type},
                {"backend", info.backend},
                {"capability", info.capability},
                {"total_memory", info.memory.total_bytes},
                {"available_memory", info.memory.available_bytes},
                {"unified_memory", info.unified_memory},
                {"bfloat16", info.bfloat16},
                {"float16", info.float16},
                {"int8_weights", info.int8_weights},
                {"performance_score", device.score},
                {"healthy", device.fault.empty()},
                {"fault", device.fault.empty() ? Json(nullptr) : Json(device.fault)},
                {"rates", nullptr}};
    if (device.rates)
        one["rates"] = {{"float32_tflops", device.rates->float32_tflops},
                        {"sixteen_tflops", device.rates->sixteen_tflops},
                        {"int8_tflops", device.rates->int8_tflops},
                        {"bandwidth_gb_s", device.rates->bandwidth_gb_s}};
    return one;
}

}  // namespace

int print_devices(const AppOptions& options, const DevicesOptions& wanted) {
    DeviceManager manager(options.engine.devices, system_devices(options.engine.devices));
    const std::string others = manager.find_all();
    if (!others.empty()) log_info("no other devices: " + others);
    for (const DeviceState& device : manager.devices()) {
        try {
            if (wanted.profile) manager.profile(device.info.id, true);
            manager.open(device.info.id);  // checks it
        } catch (...) {
            manager.set_fault(device.info.id, current_error().message);
        }
    }
    const auto devices = manager.devices();
    if (wanted.json) {
        Json list = Json::array();
        for (const DeviceState& device : devices) list.push_back(json_of(device));
        std::printf("%s\n", list.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
        return 0;
    }
    const bool rated = std::any_of(devices.begin(), devices.end(),
                                   [](const DeviceState& device) { return device.rates.has_value(); });
    Row head = {"device", "name", "backend", "memory", "free", "16-bit", "int8", "score"};
    if (rated)
        for (const char* rate_name : {"fp32 TFLOP/s", "16-bit TFLOP/s", "int8 TFLOP/s", "GB/s"})
            head.push_back(rate_name);
    head.insert(head.end(), {"capability", "state"});
    std::vector<Row> rows = {head};
    for (const DeviceState& device : devices) rows.push_back(row_of(device, rated));
    print_table(rows);
    return 0;
}

}  // namespace sdxl
