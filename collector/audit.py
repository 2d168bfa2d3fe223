"""What the actions of the audit are called; a line is added in the transaction of the change (people.note)."""

from typing import NamedTuple


class Name(NamedTuple):
    """What something is called."""

    vi: str
    en: str


WORDS = {
    "log_in": Name("Đăng nhập", "Logged in"),
    "account_locked": Name("Tài khoản bị khóa vì nhập sai", "Account locked after wrong passwords"),
    "password_changed": Name("Tự đổi mật khẩu", "Changed own password"),
    "password_reset": Name("Cấp mật khẩu lần đầu", "Made a first password"),
    "sso_linked": Name("Nối với đăng nhập một lần", "Linked to single sign-on"),
    "person_added": Name("Thêm người dùng", "Added a person"),
    "person_changed": Name("Sửa người dùng", "Changed a person"),
    "person_disabled": Name("Ngừng người dùng", "Disabled a person"),
    "person_token_made": Name("Cấp mã truy cập API", "Made an API token"),
    "facility_added": Name("Thêm cơ sở", "Added a facility"),
    "facility_changed": Name("Sửa cơ sở", "Changed a facility"),
    "facility_merged": Name("Sáp nhập cơ sở", "Merged a facility"),
    "merger_undone": Name("Hủy sáp nhập", "Undid a merger"),
    "pause_added": Name("Thêm đợt tạm dừng", "Added a pause"),
    "pause_removed": Name("Bỏ đợt tạm dừng", "Removed a pause"),
    "code_made": Name("Tạo mã ghi danh", "Made an enrolment code"),
    "agent_enrolled": Name("Agent ghi danh", "Agent enrolled"),
    "token_replaced": Name("Mã truy cập mới thay mã cũ", "New token replaced the old one"),
    "tokens_revoked": Name("Thu hồi mã truy cập", "Revoked tokens"),
    "source_retired": Name("Ngừng nguồn", "Retired a source"),
    "source_renamed": Name("Đổi tên nguồn", "Renamed a source"),
    "source_moved": Name("Chuyển nguồn sang agent khác", "Moved a source to another agent"),
    "manual_figure_entered": Name("Nhập số liệu chỉ tiêu", "Entered a figure by hand"),
    "month_confirmed": Name("Xác nhận số liệu tháng", "Confirmed a month"),
    "month_disputed": Name("Cho là số liệu tháng chưa đúng", "Disputed a month"),
    "deputy_named": Name("Cử người ký thay", "Named a deputy"),
    "deputy_ended": Name("Thôi người ký thay", "Ended a deputy"),
    "sheet_accepted": Name("Nhận bảng tính", "Accepted a spreadsheet"),
    "alert_answered": Name("Trả lời cảnh báo", "Answered an alert"),
    "store_restored": Name("Phục hồi kho từ bản sao", "Restored the store from a backup"),
}
"""By the code that is stored."""
NAMES = {
    "active_from": Name("hoạt động từ", "active from"),
    "active_to": Name("hoạt động đến", "active until"),
    "agent": Name("agent", "agent"),
    "area": Name("địa bàn", "area"),
    "bhxh_codes": Name("mã BHXH", "BHXH codes"),
    "day": Name("ngày", "day"),
    "digest": Name("bản số liệu", "version of the figures"),
    "email": Name("thư điện tử", "e-mail"),
    "evidence": Name("minh chứng", "evidence"),
    "expires_at": Name("hết hạn", "expires"),
    "facilities": Name("cơ sở", "facilities"),
    "facility": Name("cơ sở", "facility"),
    "first_day": Name("từ ngày", "first day"),
    "full_name": Name("họ tên", "full name"),
    "how": Name("bằng", "by"),
    "indicators": Name("chỉ số", "indicators"),
    "into": Name("vào", "into"),
    "last_day": Name("ngày cuối cùng", "last day"),
    "level": Name("loại", "level"),
    "name": Name("tên", "name"),
    "ownership": Name("sở hữu", "ownership"),
    "part": Name("phần", "part"),
    "person": Name("người", "person"),
    "reason": Name("lý do", "reason"),
    "reasons": Name("lý do", "reasons"),
    "role": Name("vai trò", "role"),
    "tokens": Name("số mã", "tokens"),
    "value": Name("số liệu", "figure"),
}
"""What a line keeps before and after, by key; another key is shown as it is."""
