#include "worker/torch/device_weights.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

namespace evopress::worker {
namespace {

// A host array as a tensor on the device.
template <typename T>
at::Tensor Upload(const std::vector<T>& values, at::IntArrayRef shape,
                  at::ScalarType type, const TorchDevice& device) {
  return at::from_blob(const_cast<T*>(values.data()), shape,
                       at::TensorOptions().dtype(type))
      .to(device.Options(type), /*non_blocking=*/false, /*copy=*/true);
}

// The first `count` codes of each row of a byte matrix (quant/bit_packing.h).
at::Tensor UnpackBits(const at::Tensor& bytes, int64_t count, int bits,
                      const TorchDevice& device) {
  const at::Tensor bit = at::arange(count, device.Options(at::kLong)) * bits;
  const at::Tensor byte = bit.bitwise_right_shift(3);
  const at::Tensor shift = bit.bitwise_and(7).to(at::kInt);
  const at::Tensor padded = at::constant_pad_nd(bytes, {0, 1}).to(at::kInt);
  const at::Tensor pair = padded.index_select(1, byte).bitwise_or(
      padded.index_select(1, byte + 1).bitwise_left_shift(8));
  return pair.bitwise_right_shift(shift).bitwise_and((1 << bits) - 1);
}

// The first `count` codes of one stream, as a row. Eight codes fill whole
// bytes, so that rows of eight keep the tables of UnpackBits small.
at::Tensor UnpackStream(const std::vector<uint8_t>& bytes, int64_t count,
                        int bits, const TorchDevice& device) {
  const auto size = static_cast<int64_t>(bytes.size());
  const int64_t runs = (size + bits - 1) / bits;
  const at::Tensor padded = at::constant_pad_nd(
      Upload(bytes, {size}, at::kByte, device), {0, runs * bits - size});
  return UnpackBits(padded.reshape({runs, bits}), 8, bits, device)
      .flatten()
      .narrow(0, 0, count);
}

// rows x cols, true where a sparse weight is kept.
at::Tensor KeptOnDevice(const quant::PackedWeight& w,
                        const TorchDevice& device) {
  return UnpackStream(w.positions, w.rows * w.cols, /*bits=*/1, device)
      .to(at::kBool)
      .reshape({w.rows, w.cols});
}

// rows x cols codes; 0 where a sparse weight, with `kept`, is pruned.
at::Tensor CodesOnDevice(const quant::PackedWeight& w, const at::Tensor& kept,
                         const TorchDevice& device) {
  if (!w.sparse()) {
    const auto row_bytes = static_cast<int64_t>(w.codes.size()) / w.rows;
    return UnpackBits(Upload(w.codes, {w.rows, row_bytes}, at::kByte, device),
                      w.cols, w.bits, device);
  }
  return at::zeros({w.rows, w.cols}, device.Options(at::kInt))
      .masked_scatter(
          kept, UnpackStream(w.codes, quant::KeptWeights(w), w.bits, device));
}

}  // namespace

at::Tensor UnpackOnDevice(const quant::PackedWeight& w,
                          const TorchDevice& device) {
  const at::Tensor kept = w.sparse() ? KeptOnDevice(w, device) : at::Tensor();
  if (w.bits == quant::kFloat16Bits) {
    const int64_t count = quant::KeptWeights(w);
    return at::zeros({w.rows, w.cols}, device.Options(at::kFloat))
        .masked_scatter(kept, Upload(w.codes, {2 * count}, at::kByte, device)
                                  .view(at::kHalf)
                                  .to(at::kFloat));
  }
  const int64_t groups = w.groups();
  const at::Tensor codes = CodesOnDevice(w, kept, device);
  const at::Tensor scales =
      Upload(w.scales, {w.rows, groups}, at::kHalf, device).to(at::kFloat);
  at::Tensor zeros;
  if (w.symmetric) {
    zeros =
        at::full({w.rows, groups}, 1 << (w.bits - 1), device.Options(at::kInt));
  } else {
    const auto bytes = static_cast<int64_t>(w.zeros.size());
    zeros = UnpackBits(Upload(w.zeros, {1, bytes}, at::kByte, device),
                       w.rows * groups, w.bits, device)
                .reshape({w.rows, groups});
  }
  at::Tensor group;
  if (w.group_of_column.empty()) {
    group = at::arange(w.cols, device.Options(at::kLong))
                .div(w.group_size, /*rounding_mode=*/"floor");
  } else {
    const std::vector<int64_t> columns(w.group_of_column.begin(),
                                       w.group_of_column.end());
    group = Upload(columns, {w.cols}, at::kLong, device);
  }
  const at::Tensor values = codes.sub(zeros.index_select(1, group))
                                .to(at::kFloat)
                                .mul(scales.index_select(1, group));
  return kept.defined() ? values.masked_fill(kept.logical_not(), 0.0) : values;
}

absl::StatusOr<at::Tensor> DeviceWeights::Get(const LinearSpec& linear,
                                              const std::string& blob) {
  const Key key(linear.name, blob);
  if (const auto found = cache_.Find(key)) return *found;
  auto weight = Load(linear, blob);
  if (!weight.ok()) return weight;
  cache_.Insert(key, std::make_shared<const at::Tensor>(*weight),
                weight->nbytes());
  return weight;
}

absl::StatusOr<at::Tensor> DeviceWeights::Load(const LinearSpec& linear,
                                               const std::string& blob) const {
  if (blob.empty()) {
    auto values = ReadTensor(*model_.checkpoint, linear.name + ".weight",
                             {linear.rows, linear.cols});
    if (!values.ok()) return values.status();
    return Upload(*values, {linear.rows, linear.cols}, at::kFloat, device_)
        .to(device_.type);
  }
  const auto packed = quant::ReadBlob(blob);
  if (!packed.ok()) {
    return absl::Status(
        packed.status().code(),
        absl::StrCat("level blob '", blob, "' of layer '", linear.name,
                     "': ", packed.status().message()));
  }
  if (packed->rows != linear.rows || packed->cols != linear.cols) {
    return absl::InvalidArgumentError(
        absl::StrCat("level blob '", blob, "' is ", packed->rows, " x ",
                     packed->cols, ", but layer '", linear.name, "' is ",
                     linear.rows, " x ", linear.cols));
  }
  return UnpackOnDevice(*packed, device_).to(device_.type);
}

}  // namespace evopress::worker
