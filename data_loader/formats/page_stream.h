// PageStream: the pages of a column chunk of a Parquet file. Against Parquet's own page reader it keeps one context to
// unpack Zstandard where that one makes a new one for each page, and takes the checksums several times as fast.
#pragma once

#include <memory>

#include <arrow/io/type_fwd.h>

namespace parquet {
class PageReader;
class ParquetFileReader;
class ReaderProperties;
}  // namespace parquet

namespace weir {

// What unpacks the pages of several columns, one after the other. One thread.
class PageUnpacker;
std::shared_ptr<PageUnpacker> MakePageUnpacker();

// The pages of the leaf column, checksums verified. `source`: the bytes of `file`, which must outlive what is returned;
// `properties`: those it was opened with. Throws what Parquet throws; encrypted columns and files of writers whose
// pages need a workaround are left to Parquet's page reader.
std::unique_ptr<parquet::PageReader> OpenPages(std::shared_ptr<arrow::io::RandomAccessFile> source,
                                               parquet::ReaderProperties properties, parquet::ParquetFileReader* file,
                                               int group, int leaf, std::shared_ptr<PageUnpacker> unpacker);

}  // namespace weir
