// A folder under src/ is a layer, and its CMakeLists.txt names the layers it may use: every #include is
// checked against that. A layer uses only what stands above it in src/CMakeLists.txt, so there is no circle.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using Layers = std::map<std::string, std::set<std::string>>;  // layer -> the layers it declares

Layers read_layers(std::istream& file) {
    Layers layers;
    std::string line;
    while (std::getline(file, line)) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        auto& uses = layers[line.substr(0, colon)];
        std::istringstream rest(line.substr(colon + 1));
        for (std::string layer; rest >> layer;) uses.insert(layer);
    }
    return layers;
}

// "backend/onednn/norms.h" is in backend/onednn where that is a layer, else in backend. "" for no layer's
// file.
std::string layer_of(const Layers& layers, const std::string& file) {
    for (auto slash = file.rfind('/'); slash != std::string::npos && slash > 0;
         slash = file.rfind('/', slash - 1))
        if (layers.contains(file.substr(0, slash))) return file.substr(0, slash);
    return "";
}

// What a line includes, in either form; "" where it includes nothing.
std::string included_by(const std::string& line) {
    static const std::regex include(R"re(^\s*#\s*include\s*["<]([^">]+)[">])re");
    std::smatch match;
    return std::regex_search(line, match, include) ? match[1].str() : "";
}

// What is wrong with the includes of one file, e.g. "ops/linear.h includes engine/engine.h". Both forms
// count: src/ is on the path of either. A path through ".." would name a layer without saying so.
std::vector<std::string> wrong_includes(const Layers& layers, const std::string& file, std::istream& text) {
    std::vector<std::string> wrong;
    const std::string own = layer_of(layers, file);
    std::string line;
    while (std::getline(text, line)) {
        const std::string included = included_by(line);
        if (included.empty()) continue;
        const std::string layer = layer_of(layers, included);
        const bool declared =
            layer.empty() || layer == own || (!own.empty() && layers.at(own).contains(layer));
        if (!declared || included.find("..") != std::string::npos)
            wrong.push_back(file + " includes " + included);
    }
    return wrong;
}

// Whether the first include of a source is of the header beside it, e.g. of ops/a.cpp "ops/a.h".
bool begins_with_its_header(const std::string& source, std::istream& text) {
    const fs::path header = fs::path(source).replace_extension(".h");
    std::string line;
    while (std::getline(text, line))
        if (const std::string included = included_by(line); !included.empty())
            return included == header.string() || included == header.filename().string();
    return false;
}

// Declared uses of a layer that does not stand above, e.g. "core uses ops". The file lists layers from the
// top.
std::vector<std::string> upward_uses(std::istream& file) {
    std::vector<std::string> wrong;
    std::set<std::string> above;
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream text(line);
        const Layers one = read_layers(text);
        for (const auto& [layer, uses] : one) {
            for (const auto& used : uses)
                if (!above.contains(used)) wrong.push_back(layer + " uses " + used);
            above.insert(layer);
        }
    }
    return wrong;
}

// Layers that are reachable from themselves.
std::set<std::string> circles(const Layers& layers) {
    std::set<std::string> found;
    for (const auto& [start, uses] : layers) {
        std::set<std::string> seen;
        std::vector<std::string> todo(uses.begin(), uses.end());
        while (!todo.empty()) {
            const std::string layer = todo.back();
            todo.pop_back();
            if (layer == start) found.insert(start);
            if (!seen.insert(layer).second || !layers.contains(layer)) continue;
            todo.insert(todo.end(), layers.at(layer).begin(), layers.at(layer).end());
        }
    }
    return found;
}

Layers project_layers() {
    std::ifstream file(SDXL_LAYERS_FILE);
    return read_layers(file);
}

TEST(Layers, EveryIncludeIsDeclared) {
    const Layers layers = project_layers();
    ASSERT_GT(layers.size(), 10U) << "no layers in " SDXL_LAYERS_FILE;
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(SDXL_SOURCE_DIR)) {
        if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
        ++files;
        std::ifstream text(entry.path());
        const std::string name = fs::relative(entry.path(), SDXL_SOURCE_DIR).string();
        EXPECT_NE(layer_of(layers, name), "") << name << " is in no layer";
        for (const auto& wrong : wrong_includes(layers, name, text)) ADD_FAILURE() << wrong;
    }
    EXPECT_GT(files, 100);
}

// So every header is compiled with nothing before it.
TEST(Layers, SourcesBeginWithTheirHeader) {
    for (const auto& entry : fs::recursive_directory_iterator(SDXL_SOURCE_DIR)) {
        fs::path header = entry.path();
        if (entry.path().extension() != ".cpp" || !fs::exists(header.replace_extension(".h"))) continue;
        std::ifstream text(entry.path());
        const std::string name = fs::relative(entry.path(), SDXL_SOURCE_DIR).string();
        EXPECT_TRUE(begins_with_its_header(name, text)) << name;
    }
}

TEST(Layers, NoCircles) {
    EXPECT_TRUE(circles(project_layers()).empty());
}

TEST(Layers, DeclaredLayersStandAbove) {
    std::ifstream file(SDXL_LAYERS_FILE);
    for (const auto& wrong : upward_uses(file)) ADD_FAILURE() << wrong;
}

TEST(LayersTest, FindsAnIncludeThatPointsTheWrongWay) {
    std::istringstream declared("core:\nops: core\nops/fast: core ops\n");
    const Layers layers = read_layers(declared);
    std::istringstream good("#include \"core/error.h\"\n#include \"ops/own.h\"\n#include <vector>\n");
    EXPECT_TRUE(wrong_includes(layers, "ops/a.cpp", good).empty());
    std::istringstream up("#include \"ops/own.h\"\n");
    EXPECT_EQ(wrong_includes(layers, "core/a.cpp", up),
              std::vector<std::string>{"core/a.cpp includes ops/own.h"});
    std::istringstream nested("#include \"ops/fast/x.h\"\n");
    EXPECT_EQ(wrong_includes(layers, "ops/a.cpp", nested).size(), 1U);
    std::istringstream down("#include \"ops/own.h\"\n#include \"ops/fast/x.h\"\n");
    EXPECT_TRUE(wrong_includes(layers, "ops/fast/a.cpp", down).empty());
}

TEST(LayersTest, FindsAnIncludeInEveryForm) {
    std::istringstream declared("core:\nops: core\n");
    const Layers layers = read_layers(declared);
    for (const char* line : {"#include <ops/own.h>", "  #  include \"ops/own.h\"  // why",
                             "#include \"ops/own.h\"\r", "#include \"../ops/own.h\""}) {
        std::istringstream text(line);
        EXPECT_EQ(wrong_includes(layers, "core/a.cpp", text).size(), 1U) << line;
    }
    std::istringstream foreign(
        "#include <nlohmann/json.hpp>\n#include \"beside.h\"\n// #include <ops/own.h>\n");
    EXPECT_TRUE(wrong_includes(layers, "core/a.cpp", foreign).empty());
}

TEST(LayersTest, FindsASourceThatBeginsWithAnother) {
    const auto begins = [](const std::string& text) {
        std::istringstream file(text);
        return begins_with_its_header("ops/a.cpp", file);
    };
    EXPECT_TRUE(begins("// why\n#include \"ops/a.h\"\n#include <vector>\n"));
    EXPECT_TRUE(begins("#include \"a.h\"\n"));
    EXPECT_FALSE(begins("#include <vector>\n#include \"ops/a.h\"\n"));
    EXPECT_FALSE(begins("#  include <vector>\n#include \"ops/a.h\"\n"));
    EXPECT_FALSE(begins("#include \"nn/a.h\"\n"));
    EXPECT_FALSE(begins(""));
}

TEST(LayersTest, FindsAUseOfALowerOrMissingLayer) {
    std::istringstream declared("core: \nops: core nn\nnn: core ops gone\n");
    EXPECT_EQ(upward_uses(declared), (std::vector<std::string>{"ops uses nn", "nn uses gone"}));
}

TEST(LayersTest, FindsACircle) {
    std::istringstream declared("a: b\nb: c\nc: a\nd: a\n");
    EXPECT_EQ(circles(read_layers(declared)), (std::set<std::string>{"a", "b", "c"}));
}

}  // namespace
