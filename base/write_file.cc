#include "base/write_file.h"

#include <memory>

namespace weir {

Status WriteFile(FileSystem* file_system, const std::string& path, std::string_view bytes) {
  WEIR_ASSIGN_OR_RETURN(std::unique_ptr<WritableFile> file, file_system->Create(path));
  WEIR_RETURN_IF_ERROR(file->Append({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  WEIR_RETURN_IF_ERROR(file->Sync());
  return file->Close();
}

}  // namespace weir
