#include "serving/trained_model.h"

#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/tensor_map.h"
#include "models/flat_parameters.h"

namespace weir {

Result<std::shared_ptr<Model>> LoadTrainedModel(FileSystem* file_system, const std::string& checkpoint,
                                                const Manifest& manifest, const Job& job, const FeatureSet& features) {
  WEIR_ASSIGN_OR_RETURN(std::shared_ptr<Model> model, MakeModel(job, features));
  WEIR_ASSIGN_OR_RETURN(std::vector<DenseTensor> tensors, ReadDense(file_system, checkpoint, manifest));
  FlatParameters parameters(*model);
  const TensorMap map(tensors);
  for (const FlatParameter& parameter : parameters.parameters()) {
    std::span<float> values = parameters.values().subspan(parameter.offset, parameter.size);
    Status copied = map.Copy(kParameterPrefix + parameter.name, parameter.shape, values);
    WEIR_RETURN_IF_ERROR(copied.Wrap("checkpoint " + checkpoint));
  }
  return model;
}

}  // namespace weir
