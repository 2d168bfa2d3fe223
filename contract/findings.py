"""What people read of each finding on the quality of data, by its code: in pages, boards and alerts."""

from typing import NamedTuple


class Words(NamedTuple):
    """What people read of a code."""

    vi: str
    en: str
    meaning_vi: str
    meaning_en: str

    @property
    def clause(self) -> str:
        """The meaning as a part of a Vietnamese sentence."""
        return self.meaning_vi[0].lower() + self.meaning_vi[1:].rstrip(".")


WORDS = {
    "jump": Words(
        "Tăng đột ngột",
        "Jump",
        "Có ngày tổng số cao hơn hẳn cùng thứ của các tuần trước.",
        "A day's total lies far above the same weekday of the weeks before.",
    ),
    "drop": Words(
        "Giảm đột ngột",
        "Drop",
        "Có ngày tổng số thấp hơn hẳn cùng thứ của các tuần trước.",
        "A day's total lies far below the same weekday of the weeks before.",
    ),
    "frozen": Words(
        "Số liệu lặp lại",
        "Frozen figures",
        "Nhiều ngày liền có số liệu giống hệt nhau.",
        "Several days in a row have exactly the same figures.",
    ),
    "stands_still": Words(
        "Nguồn đứng yên",
        "Source stands still",
        "Nguồn vẫn đọc được nhưng không có thêm trường hợp mới trong những ngày lẽ ra phải có.",
        "Reads succeed, yet days on which the source usually has cases have none.",
    ),
    "always_full": Words(
        "Lúc nào cũng 100 %",
        "Always 100 %",
        "Số lượng lớn mà không có lấy một trường hợp nào ngoài nhóm đạt: có thể nguồn chỉ chứa nhóm đó.",
        "Not one case outside the adopted categories in large counts: perhaps the source holds only those.",
    ),
    "unknown_share": Words(
        "Nhiều trường hợp chưa phân loại",
        "Many unclassified cases",
        "Tỷ lệ trường hợp mà nguồn không cho biết thuộc nhóm nào quá lớn.",
        "The source cannot classify too large a share of its cases.",
    ),
    "check_differs": Words(
        "Lệch nguồn đối chiếu",
        "Check source differs",
        "Nguồn đối chiếu đếm khác số liệu đang dùng trong cùng những ngày.",
        "A check source counts otherwise than the figures in use over the same days.",
    ),
    "changed_after_confirmation": Words(
        "Thay đổi sau khi xác nhận",
        "Changed after confirmation",
        "Số liệu của tháng đã xác nhận không còn như lúc xác nhận.",
        "The figures of a confirmed month are no longer those that were confirmed.",
    ),
}
"""By code, in the order in which people should see them. Confirmations find the last one themselves."""
