# Writes OUTPUT, a C++ file with the text of each of SCHEMAS (paths under FOLDER without ".json").
set(rows "")
foreach(schema IN LISTS SCHEMAS)
  file(READ ${FOLDER}/${schema}.json text)
  string(APPEND rows "    {\"${schema}\", R\"schema(${text})schema\"},\n")
endforeach()
file(WRITE ${OUTPUT} "#include \"schema/embedded_schemas.h\"

namespace sdxl {
namespace {

constexpr EmbeddedSchema kSchemas[] = {
${rows}};

}  // namespace

std::span<const EmbeddedSchema> embedded_schemas() {
    return kSchemas;
}

}  // namespace sdxl
")
