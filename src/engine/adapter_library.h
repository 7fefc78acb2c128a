// The files that requests add to their models: found under the models folder, read once, kept while there is
// room.
//
// Threads: everything that reads from the loop thread; the paths from any. Errors: Failure, with the pointer
// of the request's part that is at fault.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "core/cancel_token.h"
#include "pipeline/adapted_weights.h"
#include "pipeline/control_model.h"
#include "pipeline/reference_image.h"
#include "pipeline/sdxl_model.h"
#include "request/adapters.h"
#include "weights/resolve_model.h"
#include "weights/textual_inversion_file.h"

namespace sdxl {

class AdapterLibrary {
  public:
    // The backend must outlive it. `models_dir` and `confine` are those of resolve_file.
    AdapterLibrary(Backend& backend, const std::filesystem::path& models_dir, bool confine)
        : backend_(backend),
          models_dir_(models_dir.empty() ? models_dir : std::filesystem::absolute(models_dir)),
          confine_(confine) {}

    std::filesystem::path path_of(const LoraRequest& lora) const;
    std::filesystem::path path_of(const EmbeddingRequest& embedding) const;
    // Without a model's name the only control model in their folder whose name has the type in it, or the
    // only union there.
    std::filesystem::path path_of(const ControlRequest& control) const;
    // Without a name the only IP-Adapter in their folder.
    std::filesystem::path path_of(const ReferenceRequest& reference) const;

    // All of these come from memory as long as the file has not changed on disk. `warnings` gets what the
    // file holds that is not used.
    Adapter read(const LoraRequest& lora);
    std::shared_ptr<const TextualInversion> read(const EmbeddingRequest& embedding);
    std::shared_ptr<const ControlModel> read(const ControlRequest& control, const SdxlModel& model,
                                             const CancelToken& cancel, std::vector<std::string>& warnings);
    std::shared_ptr<const ReferenceAdapter> read(const ReferenceRequest& reference, const SdxlModel& model,
                                                 const CancelToken& cancel,
                                                 std::vector<std::string>& warnings);
    // Forgets the networks, which take memory of their own.
    void drop_networks();

  private:
    template <class T>
    struct Kept {
        std::string key;  // of file, its state on disk, and whatever else it was made for
        T value;
        std::vector<std::string> warnings = {};
    };
    template <class T>
    using Shelf = std::vector<Kept<T>>;  // the last used last

    template <class T, class Make>
    static const Kept<T>& get(Shelf<T>& shelf, std::size_t most, const std::string& key, Make make);
    void make_room(const std::filesystem::path& path);

    Backend& backend_;
    std::filesystem::path models_dir_;
    bool confine_;
    Shelf<Adapter> loras_;
    Shelf<std::shared_ptr<const TextualInversion>> embeddings_;
    Shelf<std::shared_ptr<const ControlModel>> controls_;
    Shelf<std::shared_ptr<const ReferenceAdapter>> references_;
};

// Does `work`; what fails is told to be the fault of the request's part at `pointer`.
template <class Work>
auto at_fault(const std::string& pointer, Work work) {
    try {
        return work();
    } catch (const Failure& failure) {
        Error error = failure.error();
        if (error.pointer.empty()) error.pointer = pointer;
        throw Failure(std::move(error));
    }
}

}  // namespace sdxl
